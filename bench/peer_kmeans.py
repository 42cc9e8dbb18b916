"""Seconds of one K-means problem a class by faiss or scikit-learn, on the array that the example bench_sampling made.

    python bench/peer_kmeans.py faiss|scikit-learn embeddings.npy CLASSES K

Rows lie class after class, classes of equal size. Both libraries get 20 iterations and one start by K-means++, where they
have it: faiss starts from random points. Threads: all of the machine's. The median of five rounds is printed, as are the
final sums of squared distances, so that speed is not bought with worse clusters.
"""
import json
import os
import sys
import time

import numpy as np

ITERATIONS = 20
ROUNDS = 5


def by_faiss(parts, k, seed):
    """Centres of each part, always after 20 iterations: faiss has no rule to stop earlier."""
    import faiss

    centres = []
    for part in parts:
        kmeans = faiss.Kmeans(
            part.shape[1],
            k,
            niter=ITERATIONS,
            seed=seed,
            min_points_per_centroid=1,
            max_points_per_centroid=len(part),
        )
        kmeans.train(part)
        centres.append(kmeans.centroids)
    return centres


def by_scikit_learn(parts, k, seed):
    """Centres of each part; stops earlier when no row changes its cluster, as the index does."""
    from sklearn.cluster import KMeans

    kmeans = KMeans(k, init="k-means++", n_init=1, max_iter=ITERATIONS, tol=0, random_state=seed)
    return [kmeans.fit(part).cluster_centers_.copy() for part in parts]


def inertia(part, centres):
    """The sum of squared distances to the nearest centre, in double precision."""
    part, centres = part.astype("f8"), centres.astype("f8")
    distances = (part**2).sum(1)[:, None] + (centres**2).sum(1)[None] - 2 * part @ centres.T
    return float(np.maximum(distances.min(1), 0).sum())


def main():
    name, path, classes, k = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    cluster = {"faiss": by_faiss, "scikit-learn": by_scikit_learn}[name]
    if name == "faiss":
        import faiss

        faiss.omp_set_num_threads(len(os.sched_getaffinity(0)))
    embeddings = np.load(path)
    parts = [np.ascontiguousarray(part) for part in np.split(embeddings, classes)]
    cluster(parts, k, 0)
    seconds = []
    for seed in range(1, ROUNDS + 1):
        start = time.perf_counter()
        centres = cluster(parts, k, seed)
        seconds.append(time.perf_counter() - start)
    job = f"index of {embeddings.shape[0]} x {embeddings.shape[1]}, K = {k}"
    total = sum(inertia(part, centre) for part, centre in zip(parts, centres))
    for line in (
        {"name": job, "value": sorted(seconds)[ROUNDS // 2], "unit": "s"},
        {"name": f"{job}, inertia a row", "value": total / len(embeddings), "unit": ""},
    ):
        print(json.dumps(line))


if __name__ == "__main__":
    main()
