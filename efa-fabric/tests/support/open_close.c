/* Opens and closes an endpoint in C in the order in which efa-fabric does, and prints what
 * libfabric itself keeps: descriptors, bytes of malloc in use and resident KiB, after a warm-up, at
 * half and at the end.
 *
 *   open_close PROVIDER WARM_UP CYCLES
 */
#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>

#define CHECK(call)                                                        \
    do {                                                                   \
        int code = (int)(call);                                            \
        if (code < 0) {                                                    \
            fprintf(stderr, "%s: %s\n", #call, fi_strerror(-code));        \
            exit(1);                                                       \
        }                                                                  \
    } while (0)

static void once(const char *provider)
{
    struct fi_info *hints = fi_allocinfo(), *info = NULL;
    struct fi_eq_attr eq_attr = {.wait_obj = FI_WAIT_NONE};
    struct fi_cq_attr cq_attr = {
        .size = 1024, .format = FI_CQ_FORMAT_DATA, .wait_obj = FI_WAIT_NONE};
    struct fi_av_attr av_attr = {.type = FI_AV_TABLE, .count = 1};
    struct fid_fabric *fabric;
    struct fid_eq *eq;
    struct fid_domain *domain;
    struct fid_cq *cq;
    struct fid_av *av;
    struct fid_ep *ep;
    char name[512];
    size_t length = sizeof(name);

    hints->ep_attr->type = FI_EP_RDM;
    hints->caps = FI_MSG;
    hints->mode = FI_CONTEXT | FI_CONTEXT2;
    hints->domain_attr->mr_mode =
        FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY | FI_MR_ENDPOINT;
    hints->domain_attr->threading = FI_THREAD_DOMAIN;
    hints->fabric_attr->prov_name = strdup(provider);
    CHECK(fi_getinfo(FI_VERSION(1, 17), NULL, NULL, 0, hints, &info));
    CHECK(fi_fabric(info->fabric_attr, &fabric, NULL));
    CHECK(fi_eq_open(fabric, &eq_attr, &eq, NULL));
    CHECK(fi_domain(fabric, info, &domain, NULL));
    CHECK(fi_cq_open(domain, &cq_attr, &cq, NULL));
    CHECK(fi_av_open(domain, &av_attr, &av, NULL));
    CHECK(fi_endpoint(domain, info, &ep, NULL));
    CHECK(fi_ep_bind(ep, &cq->fid, FI_TRANSMIT | FI_RECV));
    CHECK(fi_ep_bind(ep, &av->fid, 0));
    CHECK(fi_ep_bind(ep, &eq->fid, 0));
    CHECK(fi_enable(ep));
    CHECK(fi_getname(&ep->fid, name, &length));
    CHECK(fi_close(&ep->fid));
    CHECK(fi_close(&cq->fid));
    CHECK(fi_close(&av->fid));
    CHECK(fi_close(&domain->fid));
    CHECK(fi_close(&eq->fid));
    CHECK(fi_close(&fabric->fid));
    fi_freeinfo(info);
    fi_freeinfo(hints);
}

static void counts(void)
{
    int descriptors = 0;
    long resident = 0;
    char line[256];
    struct mallinfo2 heap = mallinfo2();
    DIR *directory = opendir("/proc/self/fd");
    FILE *status = fopen("/proc/self/status", "r");

    while (directory && readdir(directory))
        descriptors++;
    closedir(directory);
    while (status && fgets(line, sizeof(line), status))
        sscanf(line, "VmRSS: %ld", &resident);
    fclose(status);
    printf("%d %zu %ld\n", descriptors, heap.uordblks + heap.hblkhd, resident);
}

int main(int argc, char **argv)
{
    int warm_up, half;

    if (argc != 4)
        return 2;
    warm_up = atoi(argv[2]);
    half = atoi(argv[3]) / 2;
    for (int i = 0; i < warm_up; i++)
        once(argv[1]);
    counts();
    for (int i = 0; i < half; i++)
        once(argv[1]);
    counts();
    for (int i = 0; i < half; i++)
        once(argv[1]);
    counts();
    return 0;
}
