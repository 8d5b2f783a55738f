/* What the engine is compared with: the same maps in C, as fast as plain C gets.

   LANES orbits advance together in a local array, which the compiler keeps in vector registers.
   "map.h" is written from the formula of the objective, see reference.py; it defines

     DIMENSION                      d
     step(x, apart, h)              x <- x - h*g(x); the coordinates of x stand `apart` each other
     step_with_tangents(x, T, h)    the same for one point, and T <- (1 - h*Hessian) T

   Points come and go as rows, shape (n, DIMENSION). */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#include "map.h"

#define FOR_LANES _Pragma("omp simd") for (int l = 0; l < LANES; l++)
#define FOR_COORDINATES _Pragma("GCC unroll 16") for (int i = 0; i < DIMENSION; i++)

typedef double Lanes[DIMENSION][LANES];

INLINE void copy(Lanes to, const Lanes from) {
  FOR_COORDINATES FOR_LANES to[i][l] = from[i][l];
}

INLINE double larger(double a, double b) { return a > b ? a : b; }

/* A fixed number of steps */

void fixed_steps(double *points, long n, long steps, double h) {
  for (long first = 0; first < n; first += LANES) {
    const long used = n - first < LANES ? n - first : LANES;
    double *here = points + first * DIMENSION;
    Lanes B;
    for (int l = 0; l < LANES; l++)
      FOR_COORDINATES B[i][l] = here[(l < used ? l : 0) * DIMENSION + i];
    for (long k = 0; k < steps; k++)
      FOR_LANES step(&B[0][l], LANES, h);
    for (int l = 0; l < used; l++)
      FOR_COORDINATES here[l * DIMENSION + i] = B[i][l];
  }
}

void fixed_steps_scalar(double *points, long n, long steps, double h) {
  for (long p = 0; p < n; p++) {
    double x[DIMENSION];
    memcpy(x, points + p * DIMENSION, sizeof x);
    for (long k = 0; k < steps; k++) step(x, 1, h);
    memcpy(points + p * DIMENSION, x, sizeof x);
  }
}

/* What became of the orbits: the definition of gdbook/outcome.py */

enum { CONVERGED, DIVERGED, PERIODIC, BOUNDED };

#define ESCAPE_RADIUS 1e6
#define CONVERGENCE_TOLERANCE 1e-10
#define CHECK_INTERVAL 32
#define PERIOD_TOLERANCE 1e-9
#define RETURN_RATIO 1e-3
#define LONGEST_PERIOD 64

typedef struct {
  const double *starts;
  double *points; /* where each orbit was when it was decided, or at the end */
  int8_t *labels, *periods;
  int32_t *when;
  long n, steps;
  double h;
} Search;

INLINE double size_of(const double *x) {
  double size = 0;
  FOR_COORDINATES {
    if (!(fabs(x[i]) <= ESCAPE_RADIUS)) return INFINITY;
    size = larger(fabs(x[i]), size);
  }
  return size;
}

INLINE double distance(const double *x, const double *y) {
  double apart = 0;
  FOR_COORDINATES apart = larger(fabs(x[i] - y[i]), apart);
  return apart;
}

INLINE int near(const double *x, const double *y, double tolerance) {
  double size = 0;
  FOR_COORDINATES size = larger(fabs(x[i]), size);
  return distance(x, y) <= tolerance * (1 + size);
}

INLINE int returned(const double *x, const double *y, double moved) {
  return near(x, y, PERIOD_TOLERANCE) && distance(x, y) <= moved;
}

static void decide(const Search *s, long p, const double *x, int label, long when, int period) {
  memcpy(s->points + p * DIMENSION, x, DIMENSION * sizeof *x);
  s->labels[p] = label;
  s->when[p] = when;
  s->periods[p] = period;
}

/* The definition, word by word, one orbit after the other */

static void detect_one(const Search *s, long p) {
  double x[DIMENSION], last[DIMENSION], path[2 * LONGEST_PERIOD + 1][DIMENSION];
  memcpy(x, s->starts + p * DIMENSION, sizeof x);
  if (size_of(x) == INFINITY) return decide(s, p, x, DIVERGED, 0, 0);
  for (long k = 0; k <= s->steps; k++) {
    if (k > 0) {
      FOR_COORDINATES last[i] = x[i];
      step(x, 1, s->h);
      if (size_of(x) == INFINITY) return decide(s, p, x, DIVERGED, k, 0);
      if ((k % CHECK_INTERVAL == 0 || k == s->steps) && near(x, last, CONVERGENCE_TOLERANCE))
        return decide(s, p, x, CONVERGED, k, 0);
    }
    if (s->steps - k <= 2 * LONGEST_PERIOD) FOR_COORDINATES path[s->steps - k][i] = x[i];
  }
  const double moved = s->steps ? RETURN_RATIO * distance(path[0], path[1]) : 0;
  for (int j = 2; j <= LONGEST_PERIOD && 2 * j <= s->steps; j++)
    if (returned(path[0], path[j], moved) && returned(path[j], path[2 * j], moved))
      return decide(s, p, x, PERIODIC, s->steps, j);
  decide(s, p, x, BOUNDED, s->steps, 0);
}

void detect_scalar(const Search *s) {
  for (long p = 0; p < s->n; p++) detect_one(s, p);
}

/* The same in lanes. All lanes stand at multiples of CHECK_INTERVAL. A block of so many steps keeps
   the largest |x| of each lane (what is not a finite number stays so, and is seen at the end); a
   lane that escaped is followed again from where the block began. While many escape, the block
   counts the steps of each lane instead. A lane that is decided goes on with the next point. The
   last steps, of which periods are read, are done by lanes that arrive there together. */

static void watch(Lanes B, double *top, long steps, double h) {
  Lanes local;
  double largest[LANES];
  copy(local, B);
  FOR_LANES largest[l] = top[l];
  for (long k = 0; k < steps; k++)
    FOR_LANES {
      step(&local[0][l], LANES, h);
      FOR_COORDINATES largest[l] = larger(fabs(local[i][l]), largest[l]);
    }
  copy(B, local);
  FOR_LANES top[l] = largest[l];
}

/* Steps before the first point outside; `path`, where it is given, takes all points */
static void count(Lanes B, double *inside, double *alive, long steps, double h, Lanes *path) {
  Lanes local;
  double living[LANES], counted[LANES];
  copy(local, B);
  FOR_LANES living[l] = alive[l], counted[l] = inside[l];
  for (long k = 0; k < steps; k++)
    FOR_LANES {
      step(&local[0][l], LANES, h);
      FOR_COORDINATES living[l] = fabs(local[i][l]) <= ESCAPE_RADIUS ? living[l] : 0;
      counted[l] += living[l];
      if (path) FOR_COORDINATES path[k][i][l] = local[i][l];
    }
  copy(B, local);
  FOR_LANES alive[l] = living[l], inside[l] = counted[l];
}

INLINE void near_lanes(const Lanes B, const Lanes C, double tolerance, double *yes) {
  FOR_LANES {
    double apart = 0, size = 0;
    FOR_COORDINATES {
      apart = larger(fabs(B[i][l] - C[i][l]), apart);
      size = larger(fabs(B[i][l]), size);
    }
    yes[l] = apart <= tolerance * (1 + size) ? 1 : 0;
  }
}

INLINE void distance_lanes(const Lanes B, const Lanes C, double *apart) {
  FOR_LANES apart[l] = 0;
  FOR_COORDINATES FOR_LANES apart[l] = larger(fabs(B[i][l] - C[i][l]), apart[l]);
}

INLINE void load(Lanes B, int l, const double *x) { FOR_COORDINATES B[i][l] = x[i]; }

static void decide_lane(const Search *s, long p, const Lanes B, int l, int label, long when,
                        int period) {
  double x[DIMENSION];
  FOR_COORDINATES x[i] = B[i][l];
  decide(s, p, x, label, when, period);
}

static void escaped(const Search *s, long p, const Lanes from, int l, long k) {
  double x[DIMENSION];
  FOR_COORDINATES x[i] = from[i][l];
  while (size_of(x) < INFINITY) step(x, 1, s->h), k++;
  decide(s, p, x, DIVERGED, k, 0);
}

/* The last steps, from `begin` on, of `used` orbits that arrived there; `path` has room for them */
static void finish(const Search *s, const long *who, int used, Lanes B, long begin, Lanes *path) {
  const long last = s->steps - begin;
  double inside[LANES], alive[LANES], settled[LANES], again[LANES], period[LANES];
  double moved[LANES], apart[LANES], before[LANES];
  int open[LANES];
  for (int l = 0; l < LANES; l++) inside[l] = period[l] = 0, alive[l] = open[l] = 1;
  copy(path[0], B);
  count(B, inside, alive, last, s->h, path + 1);
  for (long k = 1; k <= last; k++) {
    if ((begin + k) % CHECK_INTERVAL && k < last) continue;
    near_lanes(path[k], path[k - 1], CONVERGENCE_TOLERANCE, settled);
    for (int l = 0; l < used; l++)
      if (settled[l] && open[l] && inside[l] >= k) {
        decide_lane(s, who[l], path[k], l, CONVERGED, begin + k, 0);
        open[l] = 0;
      }
  }
  distance_lanes(path[last], path[last ? last - 1 : 0], moved);
  for (int j = 2; j <= LONGEST_PERIOD && 2 * j <= s->steps; j++) {
    double any = 0;
    near_lanes(path[last], path[last - j], PERIOD_TOLERANCE, settled);
    for (int l = 0; l < LANES; l++) any += settled[l];
    if (!any) continue;
    near_lanes(path[last - j], path[last - 2 * j], PERIOD_TOLERANCE, again);
    distance_lanes(path[last], path[last - j], apart);
    distance_lanes(path[last - j], path[last - 2 * j], before);
    FOR_LANES again[l] *= larger(apart[l], before[l]) <= RETURN_RATIO * moved[l];
    FOR_LANES period[l] = period[l] == 0 && settled[l] + again[l] == 2 ? j : period[l];
  }
  for (int l = 0; l < used; l++) {
    if (!open[l]) continue;
    const long end = inside[l] + 1;
    if (end <= last) decide_lane(s, who[l], path[end], l, DIVERGED, begin + end, 0);
    else if (period[l]) decide_lane(s, who[l], path[last], l, PERIODIC, s->steps, period[l]);
    else decide_lane(s, who[l], path[last], l, BOUNDED, s->steps, 0);
  }
}

void detect(const Search *s) {
  const long reach = s->steps - 2 * LONGEST_PERIOD;
  const long tail = reach > 0 ? reach / CHECK_INTERVAL * CHECK_INTERVAL : 0;
  Lanes *path = aligned_alloc(64, (s->steps - tail + 1) * sizeof(Lanes));
  Lanes B, begin, before, waiting = {{0}};
  double top[LANES], settled[LANES], inside[LANES], alive[LANES];
  long who[LANES], at[LANES], queue[LANES], next = 0;
  int queued = 0, counting = 0, running = 0, decided = 1;
  long oldest = 0;
  for (int l = 0; l < LANES; l++) who[l] = -1;
  for (;;) {
    if (decided || oldest >= tail) running = 0;
    for (int l = 0; l < LANES && (decided || oldest >= tail); l++) {
      for (;;) { /* until the lane has an orbit to follow, or none is left */
        if (who[l] < 0) {
          if (next == s->n) break;
          const double *x = s->starts + DIMENSION * next;
          who[l] = next++;
          load(B, l, x), at[l] = 0;
          if (size_of(x) == INFINITY) {
            decide(s, who[l], x, DIVERGED, 0, 0), who[l] = -1;
            continue;
          }
        }
        if (at[l] < tail) break;
        FOR_COORDINATES waiting[i][queued] = B[i][l];
        queue[queued++] = who[l], who[l] = -1;
        if (queued == LANES) finish(s, queue, queued, waiting, tail, path), queued = 0;
      }
      running += who[l] >= 0;
      if (who[l] < 0) FOR_COORDINATES B[i][l] = 0;
    }
    if (!running) break;
    copy(begin, B);
    for (int l = 0; l < LANES; l++) top[l] = inside[l] = 0, alive[l] = 1;
    if (counting) {
      count(B, inside, alive, CHECK_INTERVAL - 1, s->h, 0);
      copy(before, B);
      count(B, inside, alive, 1, s->h, 0);
    } else {
      watch(B, top, CHECK_INTERVAL - 1, s->h);
      copy(before, B);
      watch(B, top, 1, s->h);
      FOR_LANES {
        FOR_COORDINATES top[l] = fabs(B[i][l]) <= ESCAPE_RADIUS ? top[l] : INFINITY;
        alive[l] = top[l] <= ESCAPE_RADIUS ? 1 : 0;
      }
    }
    near_lanes(B, before, CONVERGENCE_TOLERANCE, settled);
    double out = 0, still = 0;
    oldest = 0;
    for (int l = 0; l < LANES; l++) {
      at[l] += CHECK_INTERVAL;
      oldest = at[l] > oldest ? at[l] : oldest;
      out += 1 - alive[l], still += settled[l];
    }
    decided = out + still > 0;
    if (decided)
      for (int l = 0; l < LANES; l++) {
        if (who[l] < 0 || (alive[l] && !settled[l])) continue;
        if (alive[l])
          decide_lane(s, who[l], B, l, CONVERGED, at[l], 0);
        else if (counting)
          decide_lane(s, who[l], B, l, DIVERGED, at[l] - CHECK_INTERVAL + 1 + (long)inside[l], 0);
        else
          escaped(s, who[l], begin, l, at[l] - CHECK_INTERVAL);
        who[l] = -1;
      }
    counting = out > 2;
  }
  if (queued) finish(s, queue, queued, waiting, tail, path);
  free(path);
}

/* Bifurcation diagram: one learning rate a lane; `out` has shape (keep, DIMENSION, n) */

void bifurcation(const double *rates, long n, const double *start, long burn_in, long keep,
                 double *out) {
  for (long first = 0; first < n; first += LANES) {
    const long used = n - first < LANES ? n - first : LANES;
    double H[LANES];
    Lanes B;
    for (int l = 0; l < LANES; l++) {
      H[l] = rates[first + (l < used ? l : 0)];
      load(B, l, start);
    }
    for (long k = 0; k < burn_in; k++)
      FOR_LANES step(&B[0][l], LANES, H[l]);
    for (long k = 0; k < keep; k++) {
      FOR_LANES step(&B[0][l], LANES, H[l]);
      FOR_COORDINATES memcpy(out + (k * DIMENSION + i) * n + first, B[i], used * sizeof(double));
    }
  }
}

void bifurcation_scalar(const double *rates, long n, const double *start, long burn_in, long keep,
                        double *out) {
  for (long p = 0; p < n; p++) {
    double x[DIMENSION];
    memcpy(x, start, sizeof x);
    for (long k = 0; k < burn_in; k++) step(x, 1, rates[p]);
    for (long k = 0; k < keep; k++) {
      step(x, 1, rates[p]);
      FOR_COORDINATES out[(k * DIMENSION + i) * n + p] = x[i];
    }
  }
}

/* Lyapunov exponents of each orbit: Gram and Schmidt after every step, logarithms of products of
   `BETWEEN` lengths; `out` has shape (n, DIMENSION) */

#define BETWEEN 16

void lyapunov_scalar(const double *starts, long n, long burn_in, long steps, double h,
                     double *out) {
  for (long p = 0; p < n; p++) {
    double x[DIMENSION], T[DIMENSION][DIMENSION] = {{0}}; /* rows are tangent vectors */
    double sum[DIMENSION] = {0}, product[DIMENSION];
    memcpy(x, starts + p * DIMENSION, sizeof x);
    for (long k = 0; k < burn_in; k++) step(x, 1, h);
    FOR_COORDINATES T[i][i] = product[i] = 1;
    for (long k = 1; k <= steps; k++) {
      step_with_tangents(x, T, h);
      _Pragma("GCC unroll 16") for (int a = 0; a < DIMENSION; a++) {
        _Pragma("GCC unroll 16") for (int b = 0; b < a; b++) {
          double along = 0;
          FOR_COORDINATES along += T[a][i] * T[b][i];
          FOR_COORDINATES T[a][i] -= along * T[b][i];
        }
        double square = 0;
        FOR_COORDINATES square += T[a][i] * T[a][i];
        const double length = sqrt(square);
        FOR_COORDINATES T[a][i] /= length;
        product[a] *= length;
      }
      if (k % BETWEEN == 0 || k == steps)
        FOR_COORDINATES sum[i] += log(product[i]), product[i] = 1;
    }
    FOR_COORDINATES out[p * DIMENSION + i] = sum[i] / steps;
  }
}

/* Histogram of the first coordinate of one orbit, with the library's sines and cosines */

void histogram(const double *start, long steps, double h, long bins, double low, double high,
               int64_t *counts) {
  const double scale = bins / (high - low);
  double x[DIMENSION];
  memcpy(x, start, sizeof x);
  for (long k = 0; k < steps; k++) {
    step(x, 1, h);
    const double place = (x[0] - low) * scale;
    if (place >= 0 && place < bins) counts[(long)place]++;
  }
}
