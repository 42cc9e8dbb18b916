"""Makes the conformance vectors beside this file: python make.py

Every value is computed with fractions by loops that follow the definitions word by word; nothing is rounded before the end.
"""
import json
import math
import pathlib
from fractions import Fraction

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
CUTS = (1, 2, 4, 8, 60)


def ranking(query, gallery, hidden):
    """Visible gallery rows by (squared distance, row)."""
    distance = {j: sum((int(a) - int(b)) ** 2 for a, b in zip(query, row)) for j, row in enumerate(gallery)}
    rows = [j for j in sorted(distance, key=lambda j: (distance[j], j)) if j not in hidden]
    return rows, distance


def one_query(rows, distance, relevant):
    """All metrics of one query, or None if nothing is relevant."""
    hit = [j in relevant for j in rows]
    count = len(relevant)
    if count == 0:
        return None

    def hits(k):
        return sum(hit[:k])

    def precisions(k):
        return sum((Fraction(hits(i), i) for i in range(1, min(k, len(hit)) + 1) if hit[i - 1]), Fraction(0))

    first = hit.index(True) + 1
    out = {
        "precision_at_1": Fraction(hits(1)),
        "r_precision": Fraction(hits(count), count),
        "map_at_r": precisions(count) / count,
        "mean_average_precision": precisions(len(hit)) / count,
        "mean_reciprocal_rank": Fraction(1, first),
    }
    for k in CUTS:
        out[f"recall_at_{k}"] = Fraction(int(hits(k) > 0))
        out[f"recall_ir_at_{k}"] = Fraction(hits(k), count)
        out[f"precision_at_{k}"] = Fraction(hits(k), k)
        out[f"precision_at_{k}_capped"] = Fraction(hits(k), min(k, count))
        out[f"map_at_{k}"] = precisions(k) / min(k, count)
        out[f"map_at_{k}.pml"] = precisions(k) / count
        out[f"map_at_{k}.oml"] = precisions(k) / hits(k) if hits(k) else Fraction(0)
        out[f"recall_at_{k}.oml"] = out[f"recall_at_{k}"]
    # Rows at one distance are one threshold: recall gained there times the precision after it.
    area, recalled = Fraction(0), 0
    for i in range(1, len(rows) + 1):
        if i == len(rows) or distance[rows[i]] > distance[rows[i - 1]]:
            area += Fraction(hits(i) - recalled, count) * Fraction(hits(i), i)
            recalled = hits(i)
    out["mean_average_precision.sklearn"] = area
    return out


def case(queries, query_labels, gallery, gallery_labels, hidden):
    scores, lone = [], 0
    for i, query in enumerate(queries):
        rows, distance = ranking(query, gallery, hidden(i))
        relevant = {j for j in rows if gallery_labels[j] == query_labels[i]}
        scores.append(one_query(rows, distance, relevant))
        lone += scores[-1] is None
    names = next(s for s in scores if s)
    values = {}
    for name in names:
        zero = name.endswith(".oml")
        kept = [(label, s[name] if s else Fraction(0)) for label, s in zip(query_labels, scores) if s or zero]
        values[name] = float(sum(v for _, v in kept) / len(kept))
        classes = {label: [v for other, v in kept if other == label] for label, _ in kept}
        means = [sum(v) / len(v) for v in classes.values()]
        values[f"{name}_per_class_mean"] = float(sum(means) / len(means))
    return {"n_lone": lone, "values": values}


def clustering(labels, clusters):
    n = len(labels)
    sizes = lambda side: {v: sum(1 for x in side if x == v) for v in set(side)}
    rows, columns = sizes(labels), sizes(clusters)
    shared = {(a, b): sum(1 for x, y in zip(labels, clusters) if (x, y) == (a, b)) for a in rows for b in columns}
    information = sum(c / n * math.log(n * c / (rows[a] * columns[b])) for (a, b), c in shared.items() if c)
    entropy = lambda side: -sum(s / n * math.log(s / n) for s in side.values())
    mean = (entropy(rows) + entropy(columns)) / 2
    expected = 0.0
    for a in rows.values():
        for b in columns.values():
            for c in range(max(1, a + b - n), min(a, b) + 1):
                chance = Fraction(math.comb(a, c) * math.comb(n - a, b - c), math.comb(n, b))
                expected += float(chance) * c / n * math.log(n * c / (a * b))
    purity = sum(max(shared[a, b] for a in rows) for b in columns) / n
    return {"nmi": information / mean, "ami": (information - expected) / (mean - expected), "purity": purity}


def main():
    rng = np.random.default_rng(2016)
    labels = rng.permutation(np.array([0] * 14 + [1] * 10 + [2] * 9 + [3] * 7 + [4] * 4 + [5] * 2 + [6, 7]))
    grid = lambda label, size: (rng.integers(0, 3, size=size) + np.stack([label % 3, label // 3 % 2, label % 2], 1))
    embeddings = grid(labels, (48, 3)).astype("<f4")
    embeddings[7] = embeddings[31]  # two photographs with one embedding
    sequences = rng.integers(0, 12, size=48)
    query_labels = rng.integers(0, 6, size=15)
    query_labels[[3, 11]] = 9
    queries = grid(query_labels, (15, 3)).astype("<f4")
    clusters = np.where(rng.random(48) < 0.7, labels % 5, rng.integers(0, 5, size=48))
    arrays = dict(embeddings=embeddings, labels=labels, sequences=sequences, queries=queries, query_labels=query_labels, clusters=clusters)
    for name, array in arrays.items():
        np.save(HERE / f"{name}.npy", np.ascontiguousarray(array if array.dtype == "<f4" else array.astype("<i8")))
    y, s = labels.tolist(), sequences.tolist()
    own = {i: {j for j in range(48) if j == i or s[j] == s[i]} for i in range(48)}
    expected = {
        "cuts": CUTS,
        "self": case(embeddings, y, embeddings, y, lambda i: {i}),
        "sequences": case(embeddings, y, embeddings, y, own.__getitem__),
        "split": case(queries, query_labels.tolist(), embeddings, y, lambda i: set()),
        "clustering": clustering(y, clusters.tolist()),
    }
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
