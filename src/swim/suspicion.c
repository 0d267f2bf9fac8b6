#include "suspicion.h"

#include "logarithm.h"
#include "swim_config.h"

#include <stdlib.h>

uint64_t suspicion_minimum(uint32_t mult, uint32_t members, uint64_t probe_interval)
{
    uint32_t thousandths = log10_thousandths(members);
    if (thousandths < 1000)
        thousandths = 1000;
    return (uint64_t)mult * thousandths * probe_interval / 1000;
}

uint32_t suspicion_wanted(uint32_t mult, uint32_t members)
{
    if (mult < 2 || members < mult) /* members - 2 < mult - 2 */
        return 0;
    uint32_t wanted = mult - 2;
    return wanted < SUSPICION_CONFIRMATIONS_MAX ? wanted : SUSPICION_CONFIRMATIONS_MAX;
}

uint64_t suspicion_timeout(uint32_t confirmations, uint32_t wanted, uint64_t minimum,
                           uint64_t maximum)
{
    if (wanted == 0)
        return minimum;
    double share = natural_logarithm(confirmations + 1.0) / natural_logarithm(wanted + 1.0);
    double timeout = (double)maximum - (double)(maximum - minimum) * share;
    uint64_t whole = timeout <= 0 ? 0 : (uint64_t)timeout;
    whole -= whole % NANOSECONDS_PER_MS;
    return whole > minimum ? whole : minimum;
}

bool suspicion_confirm(struct suspicion *suspicion, struct atom *from)
{
    if (suspicion->confirmations >= suspicion->wanted)
        return false;
    for (uint32_t i = 0; i <= suspicion->confirmations; i++)
        if (suspicion->accusers[i] == from)
            return false;
    suspicion->confirmations++;
    suspicion->accusers[suspicion->confirmations] = intern_retain(from);
    return true;
}

void suspicion_free(struct suspicion *suspicion, struct intern_pool *pool)
{
    for (uint32_t i = 0; i <= suspicion->confirmations; i++)
        intern_release(pool, suspicion->accusers[i]);
    free(suspicion);
}
