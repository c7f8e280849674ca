// Stands in for a libfabric that takes GPU memory: the one that EFA_TEST_REAL_LIBFABRIC names, with
// FI_HMEM claimed, and memory of "CUDA" registered as host memory, which fake_libcuda.c's is.
//
// Registrations and options are written to EFA_TEST_CUDA_LOG. With EFA_TEST_HMEM_AS=efa (or
// efa-direct) the provider tcp is called efa, with this fabric, so that what is asked of efa is seen;
// EFA_TEST_HMEM_P2P is what FI_OPT_FI_HMEM_P2P then returns, EFA_TEST_HMEM_EMULATED what
// FI_OPT_EFA_EMULATED_WRITE has, where it is set.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <rdma/fabric.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define MR_DMABUF (1ULL << 40)
#define EMULATED_WRITE (-(0xefa << 16) + 2)
#define ATTRIBUTE_BYTES 112

struct dmabuf { int fd; uint64_t offset; size_t len; void *base_addr; };

static int (*real_getinfo)(uint32_t, const char *, const char *, uint64_t, const struct fi_info *, struct fi_info **);
static void (*real_freeinfo)(struct fi_info *);
static struct fi_info *(*real_dupinfo)(const struct fi_info *);
static int (*real_fabric)(struct fi_fabric_attr *, struct fid_fabric **, void *);
static uint32_t (*real_version)(void);
static const char *(*real_strerror)(int);
static struct fi_ops_fabric *fabric_ops;
static struct fi_ops_domain *domain_ops;
static struct fi_ops_mr *mr_ops;
static struct fi_ops_ep *ep_ops;

static void say(const char *format, ...) {
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    line[length++] = '\n';
    int fd = open(getenv("EFA_TEST_CUDA_LOG"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, line, length) != length) abort();
    close(fd);
}

__attribute__((constructor)) static void load(void) {
    void *real = dlopen(getenv("EFA_TEST_REAL_LIBFABRIC"), RTLD_NOW | RTLD_LOCAL);
    if (!real) abort();
    real_getinfo = dlsym(real, "fi_getinfo");
    real_freeinfo = dlsym(real, "fi_freeinfo");
    real_dupinfo = dlsym(real, "fi_dupinfo");
    real_fabric = dlsym(real, "fi_fabric");
    real_version = dlsym(real, "fi_version");
    real_strerror = dlsym(real, "fi_strerror");
}

// A table as long as the library's own, to change.
static void *copy_of(void *table) {
    size_t size = *(size_t *)table;
    return memcpy(malloc(size), table, size);
}

static void rename_to(char **name, const char *to) {
    free(*name);
    *name = strdup(to);
}

// Whether a name is given to tcp, and which fabric it has then.
static const char *disguise(void) { return getenv("EFA_TEST_HMEM_AS"); }
static char *real_fabric_name;

uint32_t fi_version(void) { return real_version(); }
const char *fi_strerror(int number) { return real_strerror(number); }
struct fi_info *fi_dupinfo(const struct fi_info *info) { return real_dupinfo(info); }
void fi_freeinfo(struct fi_info *info) { real_freeinfo(info); }

int fi_getinfo(uint32_t version, const char *node, const char *service, uint64_t flags, const struct fi_info *hints, struct fi_info **info) {
    struct fi_info *plain = hints ? real_dupinfo(hints) : NULL;
    int hmem = hints && hints->caps & FI_HMEM;
    if (plain) {
        if (hmem && !(hints->domain_attr->mr_mode & FI_MR_HMEM)) abort();
        plain->caps &= ~FI_HMEM;
        plain->domain_attr->mr_mode &= ~FI_MR_HMEM;
        if (disguise() && plain->fabric_attr->prov_name && !strncmp(plain->fabric_attr->prov_name, "efa", 3)) {
            rename_to(&plain->fabric_attr->prov_name, strchr(plain->fabric_attr->prov_name, ';') ? "tcp;ofi_rxm" : "tcp");
            free(plain->fabric_attr->name);
            plain->fabric_attr->name = NULL;
        }
    }
    int code = real_getinfo(version, node, service, flags, plain, info);
    if (plain) real_freeinfo(plain);
    for (struct fi_info *one = code ? NULL : *info; one; one = one->next) {
        if (hmem) {
            one->caps |= FI_HMEM;
            one->domain_attr->mr_mode |= FI_MR_HMEM;
        }
        if (disguise() && !strncmp(one->fabric_attr->prov_name, "tcp", 3)) {
            if (!real_fabric_name) real_fabric_name = strdup(one->fabric_attr->name);
            rename_to(&one->fabric_attr->prov_name, strchr(one->fabric_attr->prov_name, ';') ? "efa;ofi_rxm" : "efa");
            rename_to(&one->fabric_attr->name, disguise());
        }
    }
    return code;
}

// What the real library may see of an entry, until `back`.
struct seen { uint64_t caps; int mr_mode; };
static void undisguise(struct fi_fabric_attr *attribute) {
    if (!disguise()) return;
    rename_to(&attribute->prov_name, strchr(attribute->prov_name, ';') ? "tcp;ofi_rxm" : "tcp");
    rename_to(&attribute->name, real_fabric_name);
}
static void put_on_disguise(struct fi_fabric_attr *attribute) {
    if (!disguise()) return;
    rename_to(&attribute->prov_name, strchr(attribute->prov_name, ';') ? "efa;ofi_rxm" : "efa");
    rename_to(&attribute->name, disguise());
}
static struct seen strip(struct fi_info *info) {
    struct seen before = {info->caps, info->domain_attr->mr_mode};
    info->caps &= ~FI_HMEM;
    info->domain_attr->mr_mode &= ~FI_MR_HMEM;
    undisguise(info->fabric_attr);
    return before;
}
static void back(struct fi_info *info, struct seen before) {
    info->caps = before.caps;
    info->domain_attr->mr_mode = before.mr_mode;
    put_on_disguise(info->fabric_attr);
}

static int regattr(struct fid *fid, const struct fi_mr_attr *attribute, uint64_t flags, struct fid_mr **mr) {
    union { struct fi_mr_attr attribute; char bytes[ATTRIBUTE_BYTES]; } plain;
    memcpy(&plain, attribute, ATTRIBUTE_BYTES);
    struct iovec vector;
    if (attribute->iface != FI_HMEM_CUDA || attribute->iov_count != 1) abort();
    if (flags & MR_DMABUF) {
        struct dmabuf dmabuf;
        memcpy(&dmabuf, attribute->mr_iov, sizeof dmabuf);
        struct stat file;
        int fits = !fstat(dmabuf.fd, &file) && dmabuf.offset + dmabuf.len <= (size_t)file.st_size;
        vector = (struct iovec){(char *)dmabuf.base_addr + dmabuf.offset, dmabuf.len};
        // The file's bytes are those at the address.
        void *there = mmap(NULL, file.st_size, PROT_READ, MAP_SHARED, dmabuf.fd, 0);
        int same = there != MAP_FAILED && !memcmp((char *)there + dmabuf.offset, vector.iov_base, dmabuf.len);
        if (there != MAP_FAILED) munmap(there, file.st_size);
        say("regattr cuda:%llu dmabuf fits=%d same=%d", (unsigned long long)attribute->device.reserved, fits, same);
        plain.attribute.mr_iov = &vector;
    } else {
        say("regattr cuda:%llu address", (unsigned long long)attribute->device.reserved);
    }
    plain.attribute.iface = FI_HMEM_SYSTEM;
    plain.attribute.device.reserved = 0;
    return mr_ops->regattr(fid, &plain.attribute, flags & ~MR_DMABUF, mr);
}

static int setopt(struct fid *fid, int level, int option, const void *value, size_t length) {
    if (option == FI_OPT_FI_HMEM_P2P) {
        const char *code = getenv("EFA_TEST_HMEM_P2P");
        say("setopt p2p %d", *(const int *)value);
        return code ? atoi(code) : 0;
    }
    if (option == 10) {
        say("setopt cuda_api_permitted %d of %zu bytes", *(const char *)value, length);
        return 0;
    }
    return ep_ops->setopt(fid, level, option, value, length);
}

static int getopt_of(struct fid *fid, int level, int option, void *value, size_t *length) {
    const char *emulated = getenv("EFA_TEST_HMEM_EMULATED");
    if (option == EMULATED_WRITE && emulated) {
        *(_Bool *)value = atoi(emulated);
        *length = sizeof(_Bool);
        return 0;
    }
    return ep_ops->getopt(fid, level, option, value, length);
}

static int endpoint(struct fid_domain *domain, struct fi_info *info, struct fid_ep **ep, void *context) {
    struct seen before = strip(info);
    int code = domain_ops->endpoint(domain, info, ep, context);
    back(info, before);
    if (!code) {
        if (!ep_ops) ep_ops = (*ep)->ops;
        struct fi_ops_ep *table = copy_of((*ep)->ops);
        table->setopt = setopt;
        table->getopt = getopt_of;
        (*ep)->ops = table;
    }
    return code;
}

static int domain(struct fid_fabric *fabric, struct fi_info *info, struct fid_domain **domain, void *context) {
    struct seen before = strip(info);
    int code = fabric_ops->domain(fabric, info, domain, context);
    back(info, before);
    if (!code) {
        if (!domain_ops) domain_ops = (*domain)->ops;
        if (!mr_ops) mr_ops = (*domain)->mr;
        struct fi_ops_domain *table = copy_of((*domain)->ops);
        table->endpoint = endpoint;
        (*domain)->ops = table;
        if (info->caps & FI_HMEM) {
            struct fi_ops_mr *registering = copy_of((*domain)->mr);
            registering->regattr = regattr;
            (*domain)->mr = registering;
        }
    }
    return code;
}

int fi_fabric(struct fi_fabric_attr *attribute, struct fid_fabric **fabric, void *context) {
    undisguise(attribute);
    int code = real_fabric(attribute, fabric, context);
    put_on_disguise(attribute);
    if (!code) {
        if (!fabric_ops) fabric_ops = (*fabric)->ops;
        struct fi_ops_fabric *table = copy_of((*fabric)->ops);
        table->domain = domain;
        (*fabric)->ops = table;
    }
    return code;
}
