/* A configuration file. Whatever it holds, the answer is yes or one line. */
#include "config.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agent_config config;
    struct buffer error;
    agent_config_init(&config);
    buffer_init(&error, 65536);
    bool good = agent_config_decode(&config, span_make(data, size), &error);
    assert(good || error.size > 0);
    agent_config_fini(&config);
    buffer_fini(&error);
    return 0;
}
