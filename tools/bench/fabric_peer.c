/*
 * What efa-fabric's measurements are compared with: the plainest C that measures the same on libfabric.
 *
 * fabric_peer latency|bandwidth serve|connect PORT PROVIDER SIZE COUNT
 *
 * It makes the same calls as fabtests' fi_rdm_pingpong and fi_rdm_bw, which no registry offers: a queue of
 * completions for each direction, read one entry at a time until it has one; messages up to the inject
 * size are injected; the receive is posted again before the next message leaves; in the other program 64
 * messages, then one acknowledgement of 4 bytes. Written for this comparison. Unlike fi_pingpong's, its
 * time leaves out connecting and the first WARM_UP messages. It prints the mean of half a round trip in
 * us, or 10^9 bytes per second.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_errno.h>

enum { WARM_UP = 100, WINDOW = 64, ACK = 4 };

static struct fid_ep *ep;
static struct fid_cq *tx_queue, *rx_queue;
static fi_addr_t peer;
static void *tx_memory, *rx_memory, *tx_descriptor, *rx_descriptor;
static size_t inject_size;
static struct fi_context2 tx_contexts[WINDOW], rx_contexts[WINDOW];

static void fail(const char *call, long code)
{
    fprintf(stderr, "fabric_peer: %s: %s\n", call, fi_strerror((int)(code < 0 ? -code : code)));
    exit(1);
}

#define CHECK(call)                                                                                    \
    do {                                                                                               \
        long code_ = (long)(call);                                                                     \
        if (code_)                                                                                     \
            fail(#call, code_);                                                                        \
    } while (0)

static int line_to_the_other_side(int is_server, int port)
{
    int line, one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (is_server) {
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1))
            fail("bind", errno);
        line = accept(listener, NULL, NULL);
        close(listener);
    } else {
        line = listener;
        if (connect(line, (struct sockaddr *)&at, sizeof at))
            fail("connect", errno);
    }
    setsockopt(line, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return line;
}

static void swap(int line, const void *own, void *theirs, size_t length)
{
    if (write(line, own, length) != (ssize_t)length)
        fail("write", errno);
    if (recv(line, theirs, length, MSG_WAITALL) != (ssize_t)length)
        fail("recv", errno);
}

static void reap(struct fid_cq *queue, int count)
{
    struct fi_cq_entry entry;
    while (count > 0) {
        ssize_t got = fi_cq_read(queue, &entry, 1);
        if (got > 0)
            count--;
        else if (got != -FI_EAGAIN)
            fail("fi_cq_read", got);
    }
}

/* Tries again while there is no room; reading the queues moves the provider on. */
#define POST(call)                                                                                     \
    for (;;) {                                                                                         \
        ssize_t code_ = (call);                                                                        \
        if (!code_)                                                                                    \
            break;                                                                                     \
        if (code_ != -FI_EAGAIN)                                                                       \
            fail(#call, code_);                                                                        \
        fi_cq_read(tx_queue, NULL, 0);                                                                 \
        fi_cq_read(rx_queue, NULL, 0);                                                                 \
    }

static void receive(size_t size, int slot)
{
    POST(fi_recv(ep, rx_memory, size, rx_descriptor, FI_ADDR_UNSPEC, &rx_contexts[slot]));
}

/* How many completions it will have. */
static int send_one(size_t size, int slot)
{
    if (size <= inject_size) {
        POST(fi_inject(ep, tx_memory, size, peer));
        return 0;
    }
    POST(fi_send(ep, tx_memory, size, tx_descriptor, peer, &tx_contexts[slot]));
    return 1;
}

static void send_and_wait(size_t size)
{
    reap(tx_queue, send_one(size, 0));
}

static void receive_one(size_t size)
{
    reap(rx_queue, 1);
    receive(size, 0);
}

static double latency(int is_server, size_t size, long count)
{
    struct timespec start = {0}, end;
    receive(size, 0);
    for (long i = 0; i < WARM_UP + count; i++) {
        if (i == WARM_UP)
            clock_gettime(CLOCK_MONOTONIC, &start);
        if (is_server) {
            receive_one(size);
            send_and_wait(size);
        } else {
            send_and_wait(size);
            receive_one(size);
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    return ((double)(end.tv_sec - start.tv_sec) * 1e6 + (double)(end.tv_nsec - start.tv_nsec) / 1e3) /
           (double)count / 2;
}

static double bandwidth(int is_server, size_t size, long count)
{
    struct timespec start = {0}, end;
    long windows = (count + WINDOW - 1) / WINDOW;
    size_t room = size > ACK ? size : ACK;
    for (int slot = 0; slot < (is_server ? WINDOW : 1); slot++)
        receive(room, slot);
    for (long i = 0; i < 1 + windows; i++) {
        if (i == 1)
            clock_gettime(CLOCK_MONOTONIC, &start);
        if (is_server) {
            reap(rx_queue, WINDOW);
            for (int slot = 0; slot < WINDOW && i < windows; slot++)
                receive(room, slot);
            send_and_wait(ACK);
        } else {
            int open = 0;
            for (int slot = 0; slot < WINDOW; slot++)
                open += send_one(size, slot);
            reap(tx_queue, open);
            receive_one(room);
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (double)size * (double)(windows * WINDOW) /
           ((double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec));
}

static void *memory_of(struct fid_domain *domain, struct fi_info *info, size_t size, uint64_t access,
                       uint64_t key, void **descriptor)
{
    struct fid_mr *region;
    void *memory;
    if (posix_memalign(&memory, 4096, size))
        fail("posix_memalign", ENOMEM);
    memset(memory, 0x5a, size);
    if (info->domain_attr->mr_mode & FI_MR_LOCAL) {
        CHECK(fi_mr_reg(domain, memory, size, access, 0, key, 0, &region, NULL));
        *descriptor = fi_mr_desc(region);
    }
    return memory;
}

static void open_endpoint(const char *provider, size_t size, int line)
{
    struct fi_info *hints = fi_allocinfo(), *info;
    struct fi_cq_attr cq = {.format = FI_CQ_FORMAT_CONTEXT, .wait_obj = FI_WAIT_NONE, .size = 1024};
    struct fi_av_attr av = {.type = FI_AV_TABLE, .count = 1};
    struct fid_fabric *fabric;
    struct fid_domain *domain;
    struct fid_av *addresses;
    char own[256] = {0}, theirs[256];
    size_t length = sizeof own;

    hints->ep_attr->type = FI_EP_RDM;
    hints->caps = FI_MSG;
    hints->mode = FI_CONTEXT | FI_CONTEXT2;
    hints->domain_attr->mr_mode = FI_MR_LOCAL | FI_MR_ALLOCATED | FI_MR_PROV_KEY | FI_MR_VIRT_ADDR;
    hints->domain_attr->threading = FI_THREAD_DOMAIN;
    hints->domain_attr->resource_mgmt = FI_RM_ENABLED;
    hints->tx_attr->tclass = FI_TC_LOW_LATENCY;
    hints->fabric_attr->prov_name = strdup(provider);
    CHECK(fi_getinfo(FI_VERSION(1, 17), NULL, NULL, 0, hints, &info));
    inject_size = info->tx_attr->inject_size;
    CHECK(fi_fabric(info->fabric_attr, &fabric, NULL));
    CHECK(fi_domain(fabric, info, &domain, NULL));
    CHECK(fi_cq_open(domain, &cq, &tx_queue, NULL));
    CHECK(fi_cq_open(domain, &cq, &rx_queue, NULL));
    CHECK(fi_av_open(domain, &av, &addresses, NULL));
    CHECK(fi_endpoint(domain, info, &ep, NULL));
    CHECK(fi_ep_bind(ep, &tx_queue->fid, FI_TRANSMIT));
    CHECK(fi_ep_bind(ep, &rx_queue->fid, FI_RECV));
    CHECK(fi_ep_bind(ep, &addresses->fid, 0));
    CHECK(fi_enable(ep));
    tx_memory = memory_of(domain, info, size, FI_SEND, 1, &tx_descriptor);
    rx_memory = memory_of(domain, info, size, FI_RECV, 2, &rx_descriptor);
    CHECK(fi_getname(&ep->fid, own, &length));
    swap(line, own, theirs, sizeof own);
    if (fi_av_insert(addresses, theirs, 1, &peer, 0, NULL) != 1)
        fail("fi_av_insert", FI_EINVAL);
}

int main(int count, char **words)
{
    if (count != 7) {
        fprintf(stderr, "usage: fabric_peer latency|bandwidth serve|connect PORT PROVIDER SIZE COUNT\n");
        return 2;
    }
    int is_server = !strcmp(words[2], "serve"), line = line_to_the_other_side(is_server, atoi(words[3]));
    size_t size = strtoul(words[5], NULL, 10);
    char word = 0;
    open_endpoint(words[4], size > ACK ? size : ACK, line);
    printf("%.6f\n", (strcmp(words[1], "latency") ? bandwidth : latency)(is_server, size, atol(words[6])));
    fflush(stdout);
    /* Neither leaves while the other may still need its answers. */
    swap(line, &word, &word, 1);
    _exit(0);
}
