/* OpenSSL is not touched before the first key is added: an agent without encryption does not pay
 * for it. Each key keeps two contexts with its key schedule done, one for either direction, so that
 * a packet costs only its nonce and its bytes. */
#include "keyring.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

enum {
    NONCE_SIZE = 12,
    TAG_SIZE = 16,
    PADDING_BLOCK = 16,
};

struct key {
    uint8_t bytes[KEY_SIZE_MAX];
    size_t size;
    EVP_CIPHER_CTX *sealer; /* owned */
    EVP_CIPHER_CTX *opener; /* owned */
};

struct keyring {
    size_t count;
    struct key keys[KEYRING_KEYS_MAX];
};

struct keyring *keyring_new(void)
{
    return calloc(1, sizeof(struct keyring));
}

static void key_fini(struct key *key)
{
    EVP_CIPHER_CTX_free(key->sealer);
    EVP_CIPHER_CTX_free(key->opener);
    OPENSSL_cleanse(key, sizeof *key);
}

void keyring_free(struct keyring *keyring)
{
    if (!keyring)
        return;
    for (size_t i = 0; i < keyring->count; i++)
        key_fini(&keyring->keys[i]);
    free(keyring);
}

const char *keyring_status_text(enum keyring_status status)
{
    switch (status) {
    case KEYRING_OK:
        return "";
    case KEYRING_BAD_SIZE:
        return "key size must be 16, 24 or 32 bytes";
    case KEYRING_FULL:
        return "the keyring is full (128 keys); remove a key that is no longer used";
    case KEYRING_UNKNOWN_KEY:
        return "requested key is not in the keyring";
    case KEYRING_PRIMARY_KEY:
        return "removing the primary key is not allowed";
    case KEYRING_OUT_OF_MEMORY:
        return "out of memory";
    }
    return "";
}

static size_t find_key(const struct keyring *keyring, struct span key)
{
    size_t i = 0;
    while (i < keyring->count && !span_equal(keyring_key(keyring, i), key))
        i++;
    return i;
}

static const EVP_CIPHER *cipher_for(size_t key_size)
{
    if (key_size == 16)
        return EVP_aes_128_gcm();
    return key_size == 24 ? EVP_aes_192_gcm() : EVP_aes_256_gcm();
}

static bool key_init(struct key *key, struct span bytes)
{
    *key = (struct key){.size = bytes.size};
    memcpy(key->bytes, bytes.data, bytes.size);
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    key->sealer = EVP_CIPHER_CTX_new();
    key->opener = EVP_CIPHER_CTX_new();
    const EVP_CIPHER *cipher = cipher_for(key->size);
    if (key->sealer && key->opener &&
        EVP_EncryptInit_ex(key->sealer, cipher, NULL, key->bytes, NULL) == 1 &&
        EVP_DecryptInit_ex(key->opener, cipher, NULL, key->bytes, NULL) == 1)
        return true;
    key_fini(key);
    return false;
}

enum keyring_status keyring_add(struct keyring *keyring, struct span key)
{
    if (key.size != 16 && key.size != 24 && key.size != 32)
        return KEYRING_BAD_SIZE;
    if (find_key(keyring, key) < keyring->count)
        return KEYRING_OK;
    if (keyring->count == KEYRING_KEYS_MAX)
        return KEYRING_FULL;
    if (!key_init(&keyring->keys[keyring->count], key))
        return KEYRING_OUT_OF_MEMORY;
    keyring->count++;
    return KEYRING_OK;
}

enum keyring_status keyring_use(struct keyring *keyring, struct span key)
{
    size_t index = find_key(keyring, key);
    if (index == keyring->count)
        return KEYRING_UNKNOWN_KEY;
    struct key chosen = keyring->keys[index];
    memmove(&keyring->keys[1], &keyring->keys[0], index * sizeof chosen);
    keyring->keys[0] = chosen;
    OPENSSL_cleanse(&chosen, sizeof chosen);
    return KEYRING_OK;
}

enum keyring_status keyring_remove(struct keyring *keyring, struct span key)
{
    size_t index = find_key(keyring, key);
    if (index == keyring->count)
        return KEYRING_OK;
    if (index == 0)
        return KEYRING_PRIMARY_KEY;
    key_fini(&keyring->keys[index]);
    memmove(&keyring->keys[index], &keyring->keys[index + 1],
            (keyring->count - index - 1) * sizeof keyring->keys[0]);
    keyring->count--;
    OPENSSL_cleanse(&keyring->keys[keyring->count], sizeof keyring->keys[0]);
    return KEYRING_OK;
}

size_t keyring_count(const struct keyring *keyring)
{
    return keyring ? keyring->count : 0;
}

struct span keyring_key(const struct keyring *keyring, size_t index)
{
    assert(index < keyring->count);
    return span_make(keyring->keys[index].bytes, keyring->keys[index].size);
}

const char *key_fingerprint(struct span key, char text[KEY_FINGERPRINT_SIZE])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    text[0] = '\0';
    if (EVP_Digest(key.data, key.size, digest, NULL, EVP_sha256(), NULL) == 1)
        snprintf(text, KEY_FINGERPRINT_SIZE, "%02x%02x%02x%02x", digest[0], digest[1], digest[2],
                 digest[3]);
    OPENSSL_cleanse(digest, sizeof digest);
    return text;
}

size_t keyring_sealed_size(uint8_t version, size_t plain_size)
{
    size_t padding = version == 0 ? PADDING_BLOCK - plain_size % PADDING_BLOCK : 0;
    return SEAL_OVERHEAD_V1 + plain_size + padding;
}

static bool encrypt(EVP_CIPHER_CTX *context, const uint8_t *nonce, struct span associated,
                    struct span plain, struct span padding, uint8_t *out)
{
    int size;
    if (EVP_EncryptInit_ex(context, NULL, NULL, NULL, nonce) != 1)
        return false;
    if (associated.size > 0 &&
        EVP_EncryptUpdate(context, NULL, &size, associated.data, (int)associated.size) != 1)
        return false;
    if (plain.size > 0 && EVP_EncryptUpdate(context, out, &size, plain.data, (int)plain.size) != 1)
        return false;
    out += plain.size;
    if (padding.size > 0 &&
        EVP_EncryptUpdate(context, out, &size, padding.data, (int)padding.size) != 1)
        return false;
    out += padding.size;
    return EVP_EncryptFinal_ex(context, out, &size) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, out) == 1;
}

bool keyring_seal(const struct keyring *keyring, uint8_t version, struct random *random,
                  struct span associated, struct span plain, struct buffer *out)
{
    assert(version <= 1);
    if (keyring_count(keyring) == 0 || plain.size > INT_MAX || associated.size > INT_MAX)
        return false;
    size_t start = out->size;
    size_t sealed_size = keyring_sealed_size(version, plain.size);
    uint8_t *sealed = buffer_extend(out, sealed_size);
    if (!sealed)
        return false;
    uint8_t padding[PADDING_BLOCK];
    size_t padding_size = sealed_size - SEAL_OVERHEAD_V1 - plain.size;
    memset(padding, (int)padding_size, sizeof padding);
    sealed[0] = version;
    random_bytes(random, sealed + 1, NONCE_SIZE);
    if (encrypt(keyring->keys[0].sealer, sealed + 1, associated, plain,
                span_make(padding, padding_size), sealed + 1 + NONCE_SIZE))
        return true;
    buffer_truncate(out, start);
    return false;
}

static bool decrypt(EVP_CIPHER_CTX *context, const uint8_t *nonce, struct span associated,
                    struct span cipher, const uint8_t *tag, uint8_t *out)
{
    int size;
    uint8_t expected[TAG_SIZE];
    memcpy(expected, tag, sizeof expected);
    if (EVP_DecryptInit_ex(context, NULL, NULL, NULL, nonce) != 1)
        return false;
    if (associated.size > 0 &&
        EVP_DecryptUpdate(context, NULL, &size, associated.data, (int)associated.size) != 1)
        return false;
    if (cipher.size > 0 &&
        EVP_DecryptUpdate(context, out, &size, cipher.data, (int)cipher.size) != 1)
        return false;
    return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, expected) == 1 &&
           EVP_DecryptFinal_ex(context, out + cipher.size, &size) == 1;
}

/* Whether `plain` ends in 1 to 16 bytes that all say how many they are. */
static bool strip_padding(const uint8_t *plain, size_t *size)
{
    if (*size == 0)
        return false;
    size_t padding = plain[*size - 1];
    if (padding == 0 || padding > PADDING_BLOCK || padding > *size)
        return false;
    for (size_t i = *size - padding; i < *size; i++)
        if (plain[i] != padding)
            return false;
    *size -= padding;
    return true;
}

enum open_status keyring_open(const struct keyring *keyring, struct span associated,
                              struct span sealed, struct buffer *out)
{
    if (sealed.size == 0)
        return OPEN_EMPTY;
    uint8_t version = sealed.data[0];
    if (version > 1)
        return OPEN_UNSUPPORTED_VERSION;
    if (sealed.size < (version == 0 ? SEAL_OVERHEAD_V0 : SEAL_OVERHEAD_V1))
        return OPEN_TOO_SMALL;
    if (sealed.size > INT_MAX || associated.size > INT_MAX)
        return OPEN_NO_KEY;
    size_t start = out->size;
    size_t size = sealed.size - SEAL_OVERHEAD_V1;
    uint8_t *plain = buffer_extend(out, size);
    if (!plain)
        return OPEN_OUT_OF_MEMORY;
    struct span cipher = span_make(sealed.data + 1 + NONCE_SIZE, size);
    for (size_t i = 0; i < keyring_count(keyring); i++) {
        if (!decrypt(keyring->keys[i].opener, sealed.data + 1, associated, cipher,
                     cipher.data + size, plain))
            continue;
        if (version == 0 && !strip_padding(plain, &size))
            break;
        buffer_truncate(out, start + size);
        return OPEN_OK;
    }
    buffer_truncate(out, start);
    return OPEN_NO_KEY;
}

uint64_t open_status_number(enum open_status status, struct span sealed)
{
    if (status == OPEN_UNSUPPORTED_VERSION)
        return sealed.data[0];
    return status == OPEN_TOO_SMALL ? sealed.size : 0;
}

void open_status_text(enum open_status status, uint64_t number, struct buffer *out)
{
    switch (status) {
    case OPEN_OK:
        break;
    case OPEN_EMPTY:
        buffer_append_text(out, "cannot decrypt empty payload");
        break;
    case OPEN_UNSUPPORTED_VERSION:
        buffer_printf(out, "unsupported encryption version %llu", (unsigned long long)number);
        break;
    case OPEN_TOO_SMALL:
        buffer_printf(out, "payload is too small to decrypt: %llu", (unsigned long long)number);
        break;
    case OPEN_NO_KEY:
        buffer_append_text(out, "no installed keys could decrypt the message");
        break;
    case OPEN_OUT_OF_MEMORY:
        buffer_append_text(out, "out of memory");
        break;
    }
}
