// Stands in for libcuda.so.1 in tests: the calls that efa-fabric uses, over memory of this process.
//
// No GPU is behind it, and it states this in the device's name. It checks what a driver would check
// (initialised, a current context, addresses and contexts of its own), writes each call to the file
// EFA_TEST_CUDA_LOG, and fails where variables ask for that:
//   EFA_TEST_CUDA_INIT     what cuInit returns
//   EFA_TEST_CUDA_DEVICES  how many devices there are (2)
//   EFA_TEST_CUDA_LIMIT    bytes that can be allocated
//   EFA_TEST_CUDA_PROTECT  1: memory that the processor cannot touch, but for the copies
//   EFA_TEST_CUDA_CORRUPT  1: copies to the host change the last byte
// Built with -DNO_DMABUF it lacks cuMemGetHandleForAddressRange, as drivers before CUDA 11.7 do.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, INVALID_DEVICE = 101, INVALID_CONTEXT = 201 };
enum { ALLOCATIONS = 256, DEVICES = 16 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int initialized;
static int retained[DEVICES];
static struct allocation { uint64_t start; size_t length; int fd; } allocations[ALLOCATIONS];
static size_t allocated;
static __thread void *current;

static long number(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text && *text ? atol(text) : otherwise;
}

static void say(const char *format, ...) {
    const char *path = getenv("EFA_TEST_CUDA_LOG");
    if (!path) return;
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    line[length++] = '\n';
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) {
        if (write(fd, line, length) != length) abort();
        close(fd);
    }
}

static struct allocation *holding(uint64_t address, size_t length) {
    for (int i = 0; i < ALLOCATIONS; i++) {
        struct allocation *a = &allocations[i];
        if (a->start && address >= a->start && address + length <= a->start + a->length) return a;
    }
    return NULL;
}

// A context is the address of its device's count.
static int device_of(void *context) {
    int device = (int)((int *)context - retained);
    return context && device >= 0 && device < DEVICES && retained[device] > 0 ? device : -1;
}

int cuInit(unsigned flags) {
    int status = (int)number("EFA_TEST_CUDA_INIT", OK);
    say("cuInit %u", flags);
    if (!status) initialized = 1;
    return status;
}

int cuDeviceGetCount(int *count) {
    if (!initialized) return NOT_INITIALIZED;
    *count = (int)number("EFA_TEST_CUDA_DEVICES", 2);
    return OK;
}

int cuDeviceGet(int *device, int ordinal) {
    if (!initialized) return NOT_INITIALIZED;
    if (ordinal < 0 || ordinal >= number("EFA_TEST_CUDA_DEVICES", 2)) return INVALID_DEVICE;
    *device = ordinal;
    return OK;
}

int cuDeviceGetName(char *name, int length, int device) {
    snprintf(name, length, "no GPU %d (fake_libcuda.c)", device);
    return OK;
}

int cuDevicePrimaryCtxRetain(void **context, int device) {
    pthread_mutex_lock(&lock);
    retained[device]++;
    pthread_mutex_unlock(&lock);
    *context = &retained[device];
    say("retain %d", device);
    return OK;
}

int cuDevicePrimaryCtxRelease_v2(int device) {
    pthread_mutex_lock(&lock);
    int status = retained[device] > 0 ? OK : INVALID_CONTEXT;
    if (!status) retained[device]--;
    pthread_mutex_unlock(&lock);
    say("release %d -> %d", device, status);
    return status;
}

int cuCtxGetCurrent(void **context) {
    *context = current;
    return initialized ? OK : NOT_INITIALIZED;
}

int cuCtxSetCurrent(void *context) {
    if (context && device_of(context) < 0) return INVALID_CONTEXT;
    if (context != current) say("current %d", context ? device_of(context) : -1);
    current = context;
    return OK;
}

int cuMemAlloc_v2(uint64_t *address, size_t length) {
    if (device_of(current) < 0) return INVALID_CONTEXT;
    pthread_mutex_lock(&lock);
    int status = OUT_OF_MEMORY;
    for (int i = 0; i < ALLOCATIONS && allocated + length <= (size_t)number("EFA_TEST_CUDA_LIMIT", 1L << 33); i++) {
        if (allocations[i].start) continue;
        int fd = memfd_create("fake GPU memory", MFD_CLOEXEC);
        if (fd < 0 || ftruncate(fd, length)) abort();
        int access = number("EFA_TEST_CUDA_PROTECT", 0) ? PROT_NONE : PROT_READ | PROT_WRITE;
        void *start = mmap(NULL, length, access, MAP_SHARED, fd, 0);
        if (start == MAP_FAILED) abort();
        allocations[i] = (struct allocation){(uintptr_t)start, length, fd};
        allocated += length;
        *address = (uintptr_t)start;
        status = OK;
        break;
    }
    pthread_mutex_unlock(&lock);
    say("alloc %zu on %d -> %d", length, device_of(current), status);
    return status;
}

int cuMemFree_v2(uint64_t address) {
    int status = INVALID_VALUE;
    pthread_mutex_lock(&lock);
    struct allocation *a = holding(address, 1);
    if (device_of(current) < 0) {
        status = INVALID_CONTEXT;
    } else if (a && a->start == address) {
        munmap((void *)(uintptr_t)a->start, a->length);
        close(a->fd);
        allocated -= a->length;
        *a = (struct allocation){0};
        status = OK;
    }
    pthread_mutex_unlock(&lock);
    say("free -> %d", status);
    return status;
}

static int copy(uint64_t device, void *to, const void *from, size_t length) {
    if (device_of(current) < 0) return INVALID_CONTEXT;
    pthread_mutex_lock(&lock);
    struct allocation *a = holding(device, length);
    if (a) {
        int is_protected = (int)number("EFA_TEST_CUDA_PROTECT", 0);
        void *start = (void *)(uintptr_t)a->start;
        if (is_protected && mprotect(start, a->length, PROT_READ | PROT_WRITE)) abort();
        memcpy(to, from, length);
        if (is_protected && mprotect(start, a->length, PROT_NONE)) abort();
    }
    pthread_mutex_unlock(&lock);
    return a ? OK : INVALID_VALUE;
}

int cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t length) {
    int status = copy(to, (void *)(uintptr_t)to, from, length);
    say("to_device %zu -> %d", length, status);
    return status;
}

int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t length) {
    int status = copy(from, to, (void *)(uintptr_t)from, length);
    if (!status && length && number("EFA_TEST_CUDA_CORRUPT", 0)) ((unsigned char *)to)[length - 1] ^= 1;
    say("to_host %zu -> %d", length, status);
    return status;
}

int cuPointerSetAttribute(const void *value, int attribute, uint64_t address) {
    int status = attribute == 6 && *(const unsigned *)value == 1 && holding(address, 1) ? OK : INVALID_VALUE;
    say("sync_memops -> %d", status);
    return status;
}

#ifndef NO_DMABUF
int cuMemGetHandleForAddressRange(void *handle, uint64_t address, size_t length, int type, unsigned long long flags) {
    pthread_mutex_lock(&lock);
    struct allocation *a = holding(address, length);
    int is_whole = address % 4096 == 0 && length % 4096 == 0 && type == 1 && flags == 0;
    int status = a && a->start == address && is_whole ? OK : INVALID_VALUE;
    if (!status) *(int *)handle = fcntl(a->fd, F_DUPFD_CLOEXEC, 0);
    pthread_mutex_unlock(&lock);
    say("dmabuf %zu -> %d", length, status);
    return status;
}
#endif

int cuGetErrorString(int status, const char **text) {
    switch (status) {
    case OUT_OF_MEMORY: *text = "out of memory"; return OK;
    case 100: *text = "no CUDA-capable device is detected"; return OK;
    default: *text = NULL; return INVALID_VALUE;
    }
}
