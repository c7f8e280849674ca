/*
 * MPI's bandwidth in the shape of fabric_peer.c's, for mpich: 64 messages, then one acknowledgement.
 *
 * mpiexec -n 2 mpi_peer SIZE COUNT
 *
 * Rank 0 sends and prints 10^9 bytes per second.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 64 };

int main(int count, char **words)
{
    int rank, tag = 1;
    char ack = 0;
    double start = 0;
    MPI_Request requests[WINDOW];
    MPI_Init(&count, &words);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (count != 3)
        MPI_Abort(MPI_COMM_WORLD, 2);
    int size = atoi(words[1]);
    long windows = (atol(words[2]) + WINDOW - 1) / WINDOW;
    char *memory = malloc((size_t)size);
    memset(memory, 0x5a, (size_t)size);
    for (long i = 0; i < 1 + windows; i++) {
        if (i == 1)
            start = MPI_Wtime();
        for (int slot = 0; slot < WINDOW; slot++)
            if (rank == 0)
                MPI_Isend(memory, size, MPI_BYTE, 1, tag, MPI_COMM_WORLD, &requests[slot]);
            else
                MPI_Irecv(memory, size, MPI_BYTE, 0, tag, MPI_COMM_WORLD, &requests[slot]);
        MPI_Waitall(WINDOW, requests, MPI_STATUSES_IGNORE);
        if (rank == 0)
            MPI_Recv(&ack, 1, MPI_BYTE, 1, tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        else
            MPI_Send(&ack, 1, MPI_BYTE, 0, tag, MPI_COMM_WORLD);
    }
    if (rank == 0)
        printf("%.6f\n", (double)size * (double)(windows * WINDOW) / (MPI_Wtime() - start) / 1e9);
    MPI_Finalize();
    return 0;
}
