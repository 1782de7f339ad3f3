"""Compiled part of entity/tagger.py: feature hashing, and a linear-chain CRF. Needs the extra `fast`.

Lafferty, McCallum and Pereira (2001), trained by stochastic gradient descent with an L2 penalty, the weights
stored as scale x weights so that the penalty costs nothing per step (Bottou 2010). K tags, T tokens of a
sentence; a feature is the number of a row of `weights` (rows, K); -1 is a feature that training did not have.
"""

from math import exp, log

from numba import njit, uint64

MIX, SHIFT = uint64(0x9E3779B97F4A7C15), uint64(29)  # 2^64 / golden ratio, odd (Fibonacci hashing)
ABSENT = uint64(0)  # code of a channel that says nothing
LOWEST = -1e30  # score of a sequence that is not allowed


@njit(cache=True, nogil=True)
def mixed(a, b):
    """Mix two 64-bit hashes: xor, multiply, xor-shift.

    Returns:
        uint64; depends on the order of the two
    """
    a = (a ^ b) * MIX
    return a ^ (a >> SHIFT)


@njit(cache=True, nogil=True)
def hashes(channels, begin, end, templates, kinds, pointers, inner, out, rows, at):
    """Hash the features of the tokens begin..end of one sentence, and append them to `out` from `at`.

    Args:
        channels: (tokens, C) uint64 codes of each token; 0 where a channel says nothing.
        begin: first token of the sentence.
        end: last token + 1.
        templates: (N, 6) int64: up to three pairs of a channel and an offset; channel -1 ends a template. A
            feature with a code of 0 is left out; outside the sentence every channel has a code.
        kinds: (tokens,) number of each token's word.
        pointers: (words + 1,); further hashes of word k are inner[pointers[k]:pointers[k + 1]].
        inner: uint64, features of words alone.
        out: uint64, is filled.
        rows: (tokens + 1,) int64, is filled: the features of token i are out[rows[i]:rows[i + 1]].
        at: first free position of `out`.

    Returns:
        the next free position of `out`
    """
    for token in range(begin, end):
        rows[token] = at
        for number in range(len(templates)):
            value, complete = uint64(number + 1), True
            for pair in range(0, 6, 2):
                channel = templates[number, pair]
                if channel < 0:
                    break
                position = token + templates[number, pair + 1]
                code = uint64(1 if position < begin else 2)  # before and after the sentence
                if begin <= position < end:
                    code = channels[position, channel]
                    complete = complete and code != ABSENT
                value = mixed(value, code)
            if complete:
                out[at] = value
                at += 1
        kind = kinds[token]
        for position in range(pointers[kind], pointers[kind + 1]):
            out[at] = inner[position]
            at += 1
    rows[end] = at
    return at


@njit(cache=True, nogil=True)
def fill(table, keys):
    """Insert keys into an open-addressing hash table, with linear probing.

    Args:
        table: int32, all -1; a power of two of cells, at least twice as many as keys; gets the index of each
            key.
        keys: (features,) uint64, each once.
    """
    mask = uint64(len(table) - 1)
    for number in range(len(keys)):
        cell = mixed(keys[number], MIX) & mask
        while table[cell] >= 0:
            cell = (cell + uint64(1)) & mask
        table[cell] = number


@njit(cache=True, nogil=True)
def numbers(table, keys, queries, out):
    """Look up feature hashes in the table that `fill` made.

    Args:
        table: of `keys`.
        keys: (features,) uint64.
        queries: uint64 hashes.
        out: int32, is filled with the index of each query in `keys`, -1 where it is absent.
    """
    mask = uint64(len(table) - 1)
    for i in range(len(queries)):
        cell = mixed(queries[i], MIX) & mask
        while table[cell] >= 0 and keys[table[cell]] != queries[i]:
            cell = (cell + uint64(1)) & mask
        out[i] = table[cell]


@njit(cache=True, nogil=True)
def states(rows, features, begin, end, weights, scale, scores):
    """State scores of one sentence: for each token and tag the sum of the weights of its features, times
    `scale`.

    Args:
        rows: (tokens + 1,): the features of token i are features[rows[i]:rows[i + 1]].
        features: rows of `weights`; -1 is skipped.
        begin: first token of the sentence.
        end: last token + 1.
        weights: (rows, K) float32.
        scale: factor that `weights` are stored without.
        scores: (at least end - begin, K), is filled.
    """
    num_tags = weights.shape[1]
    for token in range(begin, end):
        t = token - begin
        for y in range(num_tags):
            scores[t, y] = 0.0
        for position in range(rows[token], rows[token + 1]):
            feature = features[position]
            if feature >= 0:
                for y in range(num_tags):
                    scores[t, y] += weights[feature, y]
        for y in range(num_tags):
            scores[t, y] *= scale


@njit(cache=True, nogil=True)
def posteriors(length, scores, moves, allowed, alpha, beta, sizes, node):
    """Forward-backward algorithm with each step normalised to sum to 1 (Rabiner 1989).

    Args:
        length: tokens T of the sentence, at least 1.
        scores: (T, K) state scores; overwritten with their exponentials, divided by the largest of their
            token.
        moves: (K, K): exp of the weight of tag a before tag b; 0 where it is not allowed.
        allowed: (K + 1, K + 1) bool: row K starts a sentence, column K ends it.
        alpha: (T, K), is filled with the normalised forward sums.
        beta: (T, K), is filled with the backward sums, divided by the norms of the later tokens.
        sizes: (T,), is filled with the norms.
        node: (T, K), is filled with the marginal probability of each tag.

    Returns:
        log Z in nats
    """
    num_tags = scores.shape[1]
    log_z = 0.0
    # psi_t(y) = exp(score - largest of the token): exp cannot overflow; log Z adds it back
    for t in range(length):
        largest = LOWEST
        for y in range(num_tags):
            largest = max(largest, scores[t, y])
        log_z += largest
        for y in range(num_tags):
            scores[t, y] = exp(scores[t, y] - largest)
    # forward: alpha_t(b) = psi_t(b) * sum over a of alpha_{t-1}(a) moves(a, b), divided by its sum c_t
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
        total = max(total, 1e-300)  # log(0) where no sequence is allowed
        sizes[t] = total
        log_z += log(total)  # log Z = sum of log c_t and of the largest scores
        for b in range(num_tags):
            alpha[t, b] /= total
    # backward: beta_t(a) = sum over b of moves(a, b) psi_{t+1}(b) beta_{t+1}(b) / c_{t+1}
    for b in range(num_tags):
        beta[length - 1, b] = 1.0 if allowed[b, num_tags] else 0.0
    for t in range(length - 2, -1, -1):
        for a in range(num_tags):
            beta[t, a] = 0.0
        for b in range(num_tags):
            backward = scores[t + 1, b] * beta[t + 1, b] / sizes[t + 1]
            if backward > 0.0:
                for a in range(num_tags):
                    beta[t, a] += moves[a, b] * backward
    # marginal: p(y_t = y | x) = alpha_t(y) beta_t(y)
    for t in range(length):
        for y in range(num_tags):
            node[t, y] = alpha[t, y] * beta[t, y]
    return log_z


@njit(cache=True, nogil=True)
def train(
    order, bounds, rows, features, gold, weights, between, allowed, penalty, rate, step, scale, scores, alpha,
    beta, sizes, node, moves
):  # fmt: skip
    """One epoch of stochastic gradient descent on the negative log-likelihood with an L2 penalty.

    Args:
        order: numbers of the sentences in the order of this epoch.
        bounds: (sentences + 1,): the tokens of sentence s are bounds[s]..bounds[s + 1].
        rows: (tokens + 1,): the features of token i are features[rows[i]:rows[i + 1]].
        features: rows of `weights`; -1 is skipped.
        gold: (tokens,) number of the right tag.
        weights: (rows, K) float32, changed in place; the true weights are scale x weights.
        between: (K, K) float64 transition weights, changed in place, also without the scale.
        allowed: (K + 1, K + 1) bool, as `posteriors` has it.
        penalty: of half the squared weights, for one sentence.
        rate: learning rate of step 0; that of step n is rate / (1 + penalty x rate x n).
        step: number of steps before this epoch.
        scale: of the weights before this epoch.
        scores: buffer (longest sentence, K), as are alpha, beta and node.
        alpha: buffer.
        beta: buffer.
        sizes: buffer (longest sentence,).
        node: buffer.
        moves: buffer (K, K).

    Returns:
        (summed negative log-likelihood in nats without the penalty, next step, new scale)
    """
    num_tags = weights.shape[1]
    loss = 0.0
    for sentence in order:
        begin, end = bounds[sentence], bounds[sentence + 1]
        length = end - begin
        eta = rate / (1.0 + penalty * rate * step)
        step += 1
        states(rows, features, begin, end, weights, scale, scores)
        # -log p(gold | x) = log Z - score of the gold sequence
        for t in range(length):
            loss -= scores[t, gold[begin + t]]
            if t:
                loss -= scale * between[gold[begin + t - 1], gold[begin + t]]
        for a in range(num_tags):
            for b in range(num_tags):
                moves[a, b] = exp(scale * between[a, b]) if allowed[a, b] else 0.0
        loss += posteriors(length, scores, moves, allowed, alpha, beta, sizes, node)
        # the gradient of penalty / 2 * |w|^2 shrinks all weights: one product of the scale does it
        scale *= 1.0 - eta * penalty
        gain = eta / scale
        # state weights: observed minus expected count of (feature, tag)
        for t in range(length):
            gold_tag = gold[begin + t]
            if node[t, gold_tag] > 0.9999:  # the step would be nearly nothing
                continue
            for position in range(rows[begin + t], rows[begin + t + 1]):
                feature = features[position]
                if feature >= 0:
                    for y in range(num_tags):
                        weights[feature, y] -= gain * node[t, y]
                    weights[feature, gold_tag] += gain
        # transition weights: the same with p(y_{t-1} = a, y_t = b | x), which is
        # alpha_{t-1}(a) moves(a, b) psi_t(b) beta_t(b) / c_t
        for t in range(1, length):
            for a in range(num_tags):
                forward = alpha[t - 1, a] * gain / sizes[t]
                if forward > 0.0:
                    for b in range(num_tags):
                        between[a, b] -= forward * moves[a, b] * scores[t, b] * beta[t, b]
            between[gold[begin + t - 1], gold[begin + t]] += gain
        if scale < 1e-3:  # before float32 weights lose digits, multiply the scale in
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
    """Viterbi algorithm: the allowed sequence of tags with the highest score.

    Args:
        length: tokens T of the sentence, at least 1.
        scores: (T, K) state scores.
        between: (K, K) weight of tag a before tag b.
        allowed: (K + 1, K + 1) bool, as `posteriors` has it.
        back: buffer (T, K) int64: the best tag before each.
        value: buffer (T, K): the best score of a sequence that ends in each tag.
        out: (T,), is filled with the tags.
    """
    num_tags = scores.shape[1]
    # value_t(b) = score_t(b) + max over allowed a of value_{t-1}(a) + between(a, b)
    for y in range(num_tags):
        value[0, y] = scores[0, y] if allowed[num_tags, y] else LOWEST
    for t in range(1, length):
        for b in range(num_tags):
            top, best_tag = 2 * LOWEST, 0
            for a in range(num_tags):
                if allowed[a, b] and value[t - 1, a] + between[a, b] > top:
                    top, best_tag = value[t - 1, a] + between[a, b], a
            value[t, b], back[t, b] = top + scores[t, b], best_tag
    top, last = 4 * LOWEST, 0
    for y in range(num_tags):
        if allowed[y, num_tags] and value[length - 1, y] > top:
            top, last = value[length - 1, y], y
    for t in range(length - 1, -1, -1):  # follow the best predecessors back
        out[t] = last
        last = back[t, last]


@njit(cache=True, nogil=True)
def decode(
    bounds, rows, features, weights, between, allowed, lean, extra, scores, alpha, beta, sizes, node, moves,
    back, value, tags, sure
):  # fmt: skip
    """Best tags of all sentences and the marginal probabilities of all tags.

    Args:
        bounds: (sentences + 1,), in tokens.
        rows: (tokens + 1,): the features of token i are features[rows[i]:rows[i + 1]].
        features: rows of `weights`; -1 is skipped.
        weights: (rows, K) float32.
        between: (K, K) transition weights.
        allowed: (K + 1, K + 1) bool, as `posteriors` has it.
        lean: (K,) added to the score of each tag, in nats.
        extra: (tokens, K) added to the scores, in nats; (0, K) adds nothing.
        scores: buffer (longest sentence, K), as are alpha, beta, node and value.
        alpha: buffer.
        beta: buffer.
        sizes: buffer (longest sentence,).
        node: buffer.
        moves: buffer (K, K).
        back: buffer (longest sentence, K) int64.
        value: buffer.
        tags: (tokens,), is filled with the best tags.
        sure: (tokens, K), is filled with the marginals.
    """
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
                if len(extra):
                    scores[t, y] += extra[begin + t, y]
        best(end - begin, scores, between, allowed, back, value, tags[begin:end])
        posteriors(end - begin, scores, moves, allowed, alpha, beta, sizes, node)
        for t in range(end - begin):
            for y in range(num_tags):
                sure[begin + t, y] = node[t, y]
