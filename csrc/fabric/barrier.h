/* barrier.h - a barrier of threads that spin for a short time, then sleep. */
#ifndef FABRIC_BARRIER_H
#define FABRIC_BARRIER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

typedef struct {
  _Atomic uint32_t members; /* threads that meet */
  _Atomic uint32_t arrived;
  _Atomic uint32_t round;
  _Atomic uint32_t asleep; /* threads that wait for `wake` */
  pthread_mutex_t lock;
  pthread_cond_t wake;
} barrier;

void barrier_begin(barrier *b); /* before the first thread starts; the struct is zero */
void barrier_end(barrier *b);   /* after the last one has ended */
void barrier_wait(barrier *b);  /* until all members have called it */

#endif
