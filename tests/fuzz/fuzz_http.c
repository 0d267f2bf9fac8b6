/* The head of an HTTP request, as it comes in pieces. */
#include "http_request.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_request request;
    for (size_t available = 0; available <= size; available += 1 + (available * 7) % 40) {
        enum http_verdict verdict = http_request_parse(span_make(data, available), &request);
        if (verdict == HTTP_SHORT) {
            assert(available < HTTP_HEAD_SIZE_MAX);
            continue;
        }
        assert(verdict == HTTP_READY ? request.path.size > 0 && request.path.data[0] == '/' &&
                                           request.path.data >= data &&
                                           request.path.data + request.path.size <= data + available
                                     : request.status >= 400);
        break;
    }
    return 0;
}
