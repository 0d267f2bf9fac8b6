/* The version of this header, and of the library that is linked.
 *
 * The numbers follow semantic versioning. While the major number is 0, a new minor number may
 * change what exists. From 1 on it only adds, and the file's name changes (libcserf.so.0, .1) when
 * something is taken away. Structures that programs fill in carry their size and grow at their end;
 * structures that the library hands out are read through pointers and grow at their end: a program
 * never makes an array of them, copies them whole or asks for their size. New enumerators may
 * appear; a program ignores those it does not know. */
#ifndef CSERF_VERSION_H
#define CSERF_VERSION_H

#define CSERF_VERSION_MAJOR 0
#define CSERF_VERSION_MINOR 1
#define CSERF_VERSION_PATCH 0
#define CSERF_VERSION_TEXT  "0.1.0"

/* Ordered as the versions are: 1.2.3 is 1002003. */
#define CSERF_VERSION_NUMBER                                                                       \
    (CSERF_VERSION_MAJOR * 1000000 + CSERF_VERSION_MINOR * 1000 + CSERF_VERSION_PATCH)

#if defined(__GNUC__)
#define CSERF_API __attribute__((visibility("default")))
#else
#define CSERF_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Those of the library that is linked: CSERF_VERSION_TEXT and CSERF_VERSION_NUMBER when it was
 * built. */
CSERF_API const char *cserf_version(void);
CSERF_API unsigned cserf_version_number(void);

#ifdef __cplusplus
}
#endif

#endif
