/* barrier.c - a barrier of threads.
 *
 * A thread that waits spins, then sleeps: other processes may need the processor, and the thread that it waits for may
 * not have one.
 */
#include "fabric/barrier.h"

static inline void pause_spinning(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

enum { SPINS = 2000 }; /* about 50 microseconds: the time in which a thread that sleeps is woken */

void barrier_wait(barrier *b) {
  uint32_t members = atomic_load_explicit(&b->members, memory_order_relaxed);
  uint32_t round = atomic_load_explicit(&b->round, memory_order_relaxed);
  if (atomic_fetch_add_explicit(&b->arrived, 1, memory_order_acq_rel) + 1 == members) {
    atomic_store_explicit(&b->arrived, 0, memory_order_relaxed);
    atomic_store(&b->round, round + 1); /* before `asleep` is read: a thread counts itself, then looks at `round` */
    if (!atomic_load(&b->asleep)) return;
    pthread_mutex_lock(&b->lock);
    pthread_cond_broadcast(&b->wake);
    pthread_mutex_unlock(&b->lock);
    return;
  }
  for (uint32_t spins = 0; spins < SPINS; spins++) {
    if (atomic_load_explicit(&b->round, memory_order_acquire) != round) return;
    pause_spinning();
  }
  pthread_mutex_lock(&b->lock);
  atomic_fetch_add(&b->asleep, 1);
  while (atomic_load(&b->round) == round)
    pthread_cond_wait(&b->wake, &b->lock);
  atomic_fetch_sub(&b->asleep, 1);
  pthread_mutex_unlock(&b->lock);
}

void barrier_begin(barrier *b) {
  pthread_mutex_init(&b->lock, NULL);
  pthread_cond_init(&b->wake, NULL);
}

void barrier_end(barrier *b) {
  pthread_cond_destroy(&b->wake);
  pthread_mutex_destroy(&b->lock);
}
