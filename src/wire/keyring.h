/* The keys of a cluster and the AES-GCM seal that is made with them (memberlist specification,
 * "Encryption"): key length 16, 24 or 32 bytes, 96-bit random nonce, 128-bit tag.
 *
 *     version(1)  nonce(12)  ciphertext  tag(16)
 *
 * Version 0 pads the plaintext to a multiple of 16 as PKCS#7 does; version 1 does not pad. */
#ifndef WIRE_KEYRING_H
#define WIRE_KEYRING_H

#include "buffer.h"
#include "random.h"

enum {
    KEY_SIZE_MAX = 32,
    KEYRING_KEYS_MAX = 128, /* a rotation needs two or three; every key costs a trial decryption */
    SEAL_OVERHEAD_V0 = 45,
    SEAL_OVERHEAD_V1 = 29,
    KEY_FINGERPRINT_SIZE = 9, /* 8 hexadecimal digits and a NUL */
};

struct keyring; /* ordered; the first key is the primary, the only one used to seal */

struct keyring *keyring_new(void);          /* empty; NULL when memory is out */
void keyring_free(struct keyring *keyring); /* wipes the keys */

enum keyring_status {
    KEYRING_OK,
    KEYRING_BAD_SIZE, /* "key size must be 16, 24 or 32 bytes" */
    KEYRING_FULL,
    KEYRING_UNKNOWN_KEY, /* use: "requested key is not in the keyring" */
    KEYRING_PRIMARY_KEY, /* remove: "removing the primary key is not allowed" */
    KEYRING_OUT_OF_MEMORY,
};

const char *keyring_status_text(enum keyring_status status);

/* Appends a key; one that is there already is left where it is. The first becomes primary. */
enum keyring_status keyring_add(struct keyring *keyring, struct span key);
/* Moves an installed key to the front. */
enum keyring_status keyring_use(struct keyring *keyring, struct span key);
/* An unknown key is no error. */
enum keyring_status keyring_remove(struct keyring *keyring, struct span key);
size_t keyring_count(const struct keyring *keyring);                  /* 0 for NULL */
struct span keyring_key(const struct keyring *keyring, size_t index); /* borrowed */

/* What a key may be called where it must not be told: the first 32 bits of its SHA-256
 * ("1a2b3c4d"). They tell apart the few keys of a cluster, and leave a random key of 128 bits or
 * more with at least 2^96 values that they fit. Returns `text`; "" when memory is out. */
const char *key_fingerprint(struct span key, char text[KEY_FINGERPRINT_SIZE]);

/* Bytes that the sealed form of `plain_size` bytes takes. */
size_t keyring_sealed_size(uint8_t version, size_t plain_size);

/* Appends the sealed form of `plain`, which must not lie in `out`. `version` is 0 or 1. False when
 * the keyring is empty, memory is out or out->maximum would be passed; nothing is appended then. */
bool keyring_seal(const struct keyring *keyring, uint8_t version, struct random *random,
                  struct span associated, struct span plain, struct buffer *out);

enum open_status {
    OPEN_OK,
    OPEN_EMPTY,               /* "cannot decrypt empty payload" */
    OPEN_UNSUPPORTED_VERSION, /* "unsupported encryption version N" */
    OPEN_TOO_SMALL,           /* "payload is too small to decrypt: N" */
    OPEN_NO_KEY,              /* "no installed keys could decrypt the message", bad padding too */
    OPEN_OUT_OF_MEMORY,
};

/* Tries every key in order; appends the plaintext, which may be empty. Nothing is appended on
 * failure. `sealed` must not lie in `out`. */
enum open_status keyring_open(const struct keyring *keyring, struct span associated,
                              struct span sealed, struct buffer *out);

/* The number that the text of a status names: version or size; 0 for the others. */
uint64_t open_status_number(enum open_status status, struct span sealed);
/* The reference's words (memberlist specification, 10.2), appended to `out`. */
void open_status_text(enum open_status status, uint64_t number, struct buffer *out);

#endif
