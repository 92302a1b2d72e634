/*
 * graph.c - breadth-first search and PageRank on a generated graph with the
 * skew of social and web graphs (R-MAT: each edge falls into a quarter of the
 * adjacency matrix, into a quarter of that, and so on, one of the four more
 * often than the others).
 *
 *   graph make FILE SCALE EDGES      2^SCALE vertices with EDGES each
 *   graph bfs FILE                   from two vertices
 *   graph pagerank FILE ITERATIONS
 *
 * The graph is made once and read from FILE into memory, since sorting edges
 * would be another benchmark. Edges go both ways. Prints lines "NAME VALUE";
 * "check" depends on the graph alone.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SOURCES 2

/* Neighbours of v are targets[offsets[v]] to targets[offsets[v + 1] - 1]. */
struct graph {
	uint32_t nr_vertices, nr_targets;
	uint32_t *offsets, *targets;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	fprintf(stderr, "graph: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *get(size_t count, size_t size)
{
	void *p = calloc(count, size);

	if (!p)
		die("memory");
	return p;
}

/* ---- making one ---- */

static uint64_t random_state = 88172645463325252ull;

static uint32_t random_number(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state >> 32;
}

/* Vertices that are busy shall not be neighbours in memory: one to one. */
static uint32_t scatter(uint32_t vertex, unsigned scale)
{
	uint32_t mask = (1u << scale) - 1;

	vertex = vertex * 2654435761u & mask;
	vertex ^= vertex >> scale / 2;
	return vertex * 2246822519u & mask;
}

static void random_edge(unsigned scale, uint32_t *from, uint32_t *to)
{
	*from = *to = 0;
	for (unsigned i = 0; i < scale; i++) {
		unsigned percent = random_number() % 100;

		/* Quarters of 57, 19, 19 and 5 percent. */
		*from = *from << 1 | (percent >= 76);
		*to = *to << 1 |
		      ((percent >= 57 && percent < 76) || percent >= 95);
	}
	*from = scatter(*from, scale);
	*to = scatter(*to, scale);
}

static void make(struct graph *g, unsigned scale, unsigned edges)
{
	uint32_t n = 1u << scale, m = n * edges;
	uint32_t *ends = get(2ul * m, sizeof(*ends));
	uint32_t *next = get(n, sizeof(*next));

	g->nr_vertices = n;
	g->nr_targets = 2 * m;
	g->offsets = get(n + 1ul, sizeof(*g->offsets));
	g->targets = get(g->nr_targets, sizeof(*g->targets));
	for (uint32_t i = 0; i < m; i++) {
		random_edge(scale, &ends[2ul * i], &ends[2ul * i + 1]);
		g->offsets[ends[2ul * i] + 1]++;
		g->offsets[ends[2ul * i + 1] + 1]++;
	}
	for (uint32_t v = 0; v < n; v++)
		g->offsets[v + 1] += g->offsets[v];
	memcpy(next, g->offsets, n * sizeof(*next));
	for (uint32_t i = 0; i < 2 * m; i++)
		g->targets[next[ends[i]]++] = ends[i ^ 1];
	free(next);
	free(ends);
}

static void save(const struct graph *g, const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f || fwrite(g, 4, 2, f) != 2 ||
	    fwrite(g->offsets, 4, g->nr_vertices + 1ul, f) !=
		    g->nr_vertices + 1ul ||
	    fwrite(g->targets, 4, g->nr_targets, f) != g->nr_targets ||
	    fclose(f))
		die(path);
}

static void load(struct graph *g, const char *path)
{
	FILE *f = fopen(path, "r");

	if (!f || fread(g, 4, 2, f) != 2)
		die(path);
	g->offsets = get(g->nr_vertices + 1ul, 4);
	g->targets = get(g->nr_targets, 4);
	if (fread(g->offsets, 4, g->nr_vertices + 1ul, f) !=
		    g->nr_vertices + 1ul ||
	    fread(g->targets, 4, g->nr_targets, f) != g->nr_targets)
		die(path);
	fclose(f);
}

/* ---- using one ---- */

/* Sums up how far away everything is; `seen` counts the edges looked at. */
static uint64_t search(const struct graph *g, uint32_t source, uint32_t *queue,
		       uint8_t *depths, uint64_t *seen)
{
	uint32_t head = 0, tail = 0;
	uint64_t sum = 0;

	memset(depths, 0xff, g->nr_vertices);
	depths[source] = 0;
	queue[tail++] = source;
	while (head < tail) {
		uint32_t v = queue[head++];

		sum += depths[v];
		*seen += g->offsets[v + 1] - g->offsets[v];
		for (uint32_t i = g->offsets[v]; i < g->offsets[v + 1]; i++) {
			uint32_t to = g->targets[i];

			if (depths[to] != 0xff)
				continue;
			depths[to] = depths[v] + 1;
			queue[tail++] = to;
		}
	}
	return sum * 31 + tail;
}

static void run_bfs(const struct graph *g)
{
	uint32_t *queue = get(g->nr_vertices, sizeof(*queue));
	uint8_t *depths = get(g->nr_vertices, 1);
	uint64_t check = 0, seen = 0;
	uint32_t v = 0;
	double start = now();

	for (unsigned i = 0; i < SOURCES; i++, v++) {
		while (g->offsets[v] == g->offsets[v + 1])
			v++; /* nobody's neighbour */
		check = check * 1000003 + search(g, v, queue, depths, &seen);
	}
	printf("rate %.3f\n", seen / (now() - start) / 1e6);
	printf("check %llu\n", (unsigned long long)check);
	free(queue);
	free(depths);
}

static void run_pagerank(const struct graph *g, unsigned iterations)
{
	uint32_t n = g->nr_vertices;
	double *rank = get(n, sizeof(*rank)), *share = get(n, sizeof(*share));
	double start = now(), sum = 0;

	for (uint32_t v = 0; v < n; v++)
		rank[v] = 1.0 / n;
	for (unsigned k = 0; k < iterations; k++) {
		for (uint32_t v = 0; v < n; v++)
			share[v] = rank[v] /
				   (g->offsets[v + 1] - g->offsets[v] + 1e-9);
		for (uint32_t v = 0; v < n; v++) {
			double in = 0;

			for (uint32_t i = g->offsets[v]; i < g->offsets[v + 1];
			     i++)
				in += share[g->targets[i]];
			rank[v] = 0.15 / n + 0.85 * in;
		}
	}
	printf("iteration %.3f\n", (now() - start) / iterations);
	for (uint32_t v = 0; v < n; v++)
		sum += rank[v] * (v % 1000);
	printf("check %.15g\n", sum);
	free(rank);
	free(share);
}

int main(int argc, char **argv)
{
	struct graph g = { 0 };

	if (argc == 5 && !strcmp(argv[1], "make")) {
		make(&g, atoi(argv[3]), atoi(argv[4]));
		save(&g, argv[2]);
	} else if (argc == 3 && !strcmp(argv[1], "bfs")) {
		load(&g, argv[2]);
		run_bfs(&g);
	} else if (argc == 4 && !strcmp(argv[1], "pagerank")) {
		load(&g, argv[2]);
		run_pagerank(&g, atoi(argv[3]));
	} else {
		fprintf(stderr, "usage: graph make FILE SCALE EDGES | "
				"bfs FILE | pagerank FILE ITERATIONS\n");
		return 2;
	}
	free(g.offsets);
	free(g.targets);
	return 0;
}
