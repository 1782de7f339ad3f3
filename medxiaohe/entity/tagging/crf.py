"""The compiled part of entity/tagger.py: features by hashing, and a linear-chain CRF. Needs the extra `fast`.

Lafferty, McCallum and Pereira (2001), trained by stochastic gradient descent with a quadratic penalty, the
weights kept as scale x weights so that the penalty costs nothing per step (Bottou 2010). K tags, T tokens of
a sentence; a feature is the number of a row of `weights` (rows, K); -1 is a feature that was not seen in
training.
"""

from math import exp, log

from numba import njit, uint64

MIX, SHIFT = uint64(0x9E3779B97F4A7C15), uint64(29)
ABSENT = uint64(0)
LOWEST = -1e30


@njit(cache=True, nogil=True)
def mixed(a, b):
    a = (a ^ b) * MIX
    return a ^ (a >> SHIFT)


@njit(cache=True, nogil=True)
def hashes(channels, begin, end, templates, kinds, pointers, inner, out, rows, at):
    """Feature hashes of the tokens begin..end of one sentence, written to out from `at`; returns where it
    ends.

    channels (tokens, C): what is known of a token, 0 where nothing is. templates (N, 6): up to three pairs of
    a channel and an offset; channel -1 is none. inner[pointers[k]:pointers[k + 1]] are further hashes of a
    token of kind k.
    """
    for token in range(begin, end):
        rows[token] = at
        for number in range(len(templates)):
            value, known = uint64(number + 1), True
            for part in range(0, 6, 2):
                channel = templates[number, part]
                if channel < 0:
                    break
                place = token + templates[number, part + 1]
                one = uint64(1 if place < begin else 2)  # before and after the sentence
                if begin <= place < end:
                    one = channels[place, channel]
                    known = known and one != ABSENT
                value = mixed(value, one)
            if known:
                out[at] = value
                at += 1
        kind = kinds[token]
        for place in range(pointers[kind], pointers[kind + 1]):
            out[at] = inner[place]
            at += 1
    rows[end] = at
    return at


@njit(cache=True, nogil=True)
def fill(table, keys):
    """Put the numbers of keys into an open table of a power of two of cells, at least twice as many."""
    mask = uint64(len(table) - 1)
    for number in range(len(keys)):
        cell = mixed(keys[number], MIX) & mask
        while table[cell] >= 0:
            cell = (cell + uint64(1)) & mask
        table[cell] = number


@njit(cache=True, nogil=True)
def numbers(table, keys, wanted, out):
    mask = uint64(len(table) - 1)
    for i in range(len(wanted)):
        cell = mixed(wanted[i], MIX) & mask
        while table[cell] >= 0 and keys[table[cell]] != wanted[i]:
            cell = (cell + uint64(1)) & mask
        out[i] = table[cell]


@njit(cache=True, nogil=True)
def states(rows, features, begin, end, weights, scale, scores):
    num_tags = weights.shape[1]
    for token in range(begin, end):
        t = token - begin
        for y in range(num_tags):
            scores[t, y] = 0.0
        for place in range(rows[token], rows[token + 1]):
            feature = features[place]
            if feature >= 0:
                for y in range(num_tags):
                    scores[t, y] += weights[feature, y]
        for y in range(num_tags):
            scores[t, y] *= scale


@njit(cache=True, nogil=True)
def posteriors(length, scores, moves, allowed, alpha, beta, sizes, node):
    """Forward and backward sums, each step made to sum to 1; node (T, K) are the marginals. Returns log Z.

    moves (K, K): exp of the weight of tag a before tag b. allowed (K + 1, K + 1): row K starts, column K
    ends. Afterwards scores hold their exponentials, divided by the largest of their token.
    """
    num_tags = scores.shape[1]
    log_z = 0.0
    for t in range(length):
        largest = LOWEST
        for y in range(num_tags):
            largest = max(largest, scores[t, y])
        log_z += largest
        for y in range(num_tags):
            scores[t, y] = exp(scores[t, y] - largest)
    for t in range(length):
        total = 0.0
        for b in range(num_tags):
            value = 0.0
            if t == 0:
                value = 1.0 if allowed[num_tags, b] else 0.0
            else:
                for a in range(num_tags):
                    value += alpha[t - 1, a] * moves[a, b]
            value *= scores[t, b]
            if t == length - 1 and not allowed[b, num_tags]:
                value = 0.0
            alpha[t, b] = value
            total += value
        total = max(total, 1e-300)
        sizes[t] = total
        log_z += log(total)
        for b in range(num_tags):
            alpha[t, b] /= total
    for b in range(num_tags):
        beta[length - 1, b] = 1.0 if allowed[b, num_tags] else 0.0
    for t in range(length - 2, -1, -1):
        for a in range(num_tags):
            beta[t, a] = 0.0
        for b in range(num_tags):
            right = scores[t + 1, b] * beta[t + 1, b] / sizes[t + 1]
            if right > 0.0:
                for a in range(num_tags):
                    beta[t, a] += moves[a, b] * right
    for t in range(length):
        for y in range(num_tags):
            node[t, y] = alpha[t, y] * beta[t, y]
    return log_z


@njit(cache=True, nogil=True)
def train(
    order, bounds, rows, features, gold, weights, between, allowed, penalty, rate, step, scale, scores, alpha,
    beta, sizes, node, moves
):  # fmt: skip
    """One pass over the sentences of `order`; returns the loss in nats, the next step and the scale of the
    weights.

    weights (rows, K) float32 and between (K, K) float64 change in place; the rate falls as 1 / (1 + penalty
    rate step).
    """
    num_tags = weights.shape[1]
    loss = 0.0
    for sentence in order:
        begin, end = bounds[sentence], bounds[sentence + 1]
        length = end - begin
        eta = rate / (1.0 + penalty * rate * step)
        step += 1
        states(rows, features, begin, end, weights, scale, scores)
        for t in range(length):
            loss -= scores[t, gold[begin + t]]
            if t:
                loss -= scale * between[gold[begin + t - 1], gold[begin + t]]
        for a in range(num_tags):
            for b in range(num_tags):
                moves[a, b] = exp(scale * between[a, b]) if allowed[a, b] else 0.0
        loss += posteriors(length, scores, moves, allowed, alpha, beta, sizes, node)
        scale *= 1.0 - eta * penalty
        gain = eta / scale
        for t in range(length):
            right = gold[begin + t]
            if node[t, right] > 0.9999:
                continue
            for place in range(rows[begin + t], rows[begin + t + 1]):
                feature = features[place]
                if feature >= 0:
                    for y in range(num_tags):
                        weights[feature, y] -= gain * node[t, y]
                    weights[feature, right] += gain
        for t in range(1, length):
            for a in range(num_tags):
                left = alpha[t - 1, a] * gain / sizes[t]
                if left > 0.0:
                    for b in range(num_tags):
                        between[a, b] -= left * moves[a, b] * scores[t, b] * beta[t, b]
            between[gold[begin + t - 1], gold[begin + t]] += gain
        if scale < 1e-3:
            for feature in range(len(weights)):
                for y in range(num_tags):
                    weights[feature, y] *= scale
            for a in range(num_tags):
                for b in range(num_tags):
                    between[a, b] *= scale
            scale = 1.0
    return loss, step, scale


@njit(cache=True, nogil=True)
def best(length, scores, between, allowed, back, value, out):
    """The tags of the highest score (Viterbi), into out[:length]."""
    num_tags = scores.shape[1]
    for y in range(num_tags):
        value[0, y] = scores[0, y] if allowed[num_tags, y] else LOWEST
    for t in range(1, length):
        for b in range(num_tags):
            top, which = 2 * LOWEST, 0
            for a in range(num_tags):
                if allowed[a, b] and value[t - 1, a] + between[a, b] > top:
                    top, which = value[t - 1, a] + between[a, b], a
            value[t, b], back[t, b] = top + scores[t, b], which
    top, last = 4 * LOWEST, 0
    for y in range(num_tags):
        if allowed[y, num_tags] and value[length - 1, y] > top:
            top, last = value[length - 1, y], y
    for t in range(length - 1, -1, -1):
        out[t] = last
        last = back[t, last]


@njit(cache=True, nogil=True)
def decode(
    bounds, rows, features, weights, between, allowed, lean, more, scores, alpha, beta, sizes, node, moves,
    back, value, tags, sure
):  # fmt: skip
    """Tags of all sentences, and the marginal of each; lean[y] is added to the score of tag y, and more
    (tokens or 0, K) where it is."""
    num_tags = weights.shape[1]
    for a in range(num_tags):
        for b in range(num_tags):
            moves[a, b] = exp(between[a, b]) if allowed[a, b] else 0.0
    for sentence in range(len(bounds) - 1):
        begin, end = bounds[sentence], bounds[sentence + 1]
        if begin == end:
            continue
        states(rows, features, begin, end, weights, 1.0, scores)
        for t in range(end - begin):
            for y in range(num_tags):
                scores[t, y] += lean[y]
                if len(more):
                    scores[t, y] += more[begin + t, y]
        best(end - begin, scores, between, allowed, back, value, tags[begin:end])
        posteriors(end - begin, scores, moves, allowed, alpha, beta, sizes, node)
        for t in range(end - begin):
            for y in range(num_tags):
                sure[begin + t, y] = node[t, y]
