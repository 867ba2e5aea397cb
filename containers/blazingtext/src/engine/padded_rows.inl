// Kernels of text classification on padded rows; a part of kernel.inl.

// Vectors of a row that are worked on together: they and what else is needed stay in registers.
constexpr std::size_t kColumns = 8;

// work(d, n) with the constant n for each stretch of at most kColumns vectors of a row.
template <typename Work>
inline void by_columns(std::size_t dim, Work work) {
    std::size_t d = 0;
    for (; d + kColumns * kWidth <= dim; d += kColumns * kWidth) work(d, Constant<kColumns>());
    if (d >= dim) return;
    switch ((dim - d + kWidth - 1) / kWidth) {
        case 1: return work(d, Constant<1>());
        case 2: return work(d, Constant<2>());
        case 3: return work(d, Constant<3>());
        case 4: return work(d, Constant<4>());
        case 5: return work(d, Constant<5>());
        case 6: return work(d, Constant<6>());
        case 7: return work(d, Constant<7>());
        default: return work(d, Constant<8>());
    }
}

template <std::size_t N>
inline void prefetch_columns(const float* at) {
    for (std::size_t n = 0; n < N * kWidth; n += kRowPadding) __builtin_prefetch(at + n, 1);
}

void mean_of(const PaddedRows& matrix, const std::uint32_t* rows, std::size_t count, float* mean) {
    const float share = 1.0f / static_cast<float>(count);
    by_columns(matrix.dim, [&](std::size_t d, auto columns) {
        constexpr std::size_t N = decltype(columns)::value;
        Vector sum[N] = {};
        for (std::size_t i = 0; i < count; ++i) {
            prefetch_columns<N>(matrix.row(rows[i + kRowsAhead]) + d);
            const float* const row = matrix.row(rows[i]) + d;
#pragma GCC unroll 8
            for (std::size_t n = 0; n < N; ++n) sum[n] += load(row + n * kWidth);
        }
#pragma GCC unroll 8
        for (std::size_t n = 0; n < N; ++n) store(mean + d + n * kWidth, sum[n] * share);
    });
}

void add_to(const PaddedRows& matrix, const std::uint32_t* rows, std::size_t count, const float* change, float share) {
    by_columns(matrix.dim, [&](std::size_t d, auto columns) {
        constexpr std::size_t N = decltype(columns)::value;
        Vector added[N];
#pragma GCC unroll 8
        for (std::size_t n = 0; n < N; ++n) added[n] = load(change + d + n * kWidth) * share;
        for (std::size_t i = 0; i < count; ++i) {
            float* const row = matrix.row(rows[i]) + d;
#pragma GCC unroll 8
            for (std::size_t n = 0; n < N; ++n) store(row + n * kWidth, load(row + n * kWidth) + added[n]);
        }
    });
}

void products_of(const PaddedRows& matrix, std::size_t count, const float* x, float* products) {
    const std::size_t last = count - 1;
    for (std::size_t i = 0; i < count; i += kTargetBlock) {
        const float* const targets[kTargetBlock] = {matrix.row(i), matrix.row(i + 1 < count ? i + 1 : last),
                                                    matrix.row(i + 2 < count ? i + 2 : last),
                                                    matrix.row(i + 3 < count ? i + 3 : last)};
        dot_products<1>(&x, targets, matrix.dim, products + i);
    }
}

void step_on(const PaddedRows& matrix, std::size_t count, const float* weights, const float* x, float* change) {
    by_columns(matrix.dim, [&](std::size_t d, auto columns) {
        constexpr std::size_t N = decltype(columns)::value;
        Vector sum[N] = {};
        for (std::size_t i = 0; i < count; ++i) {
            if (weights[i] == 0.0f) continue;
            const Vector weight = every(weights[i]);
            float* const row = matrix.row(i) + d;
#pragma GCC unroll 8
            for (std::size_t n = 0; n < N; ++n) {
                const Vector old = load(row + n * kWidth);
                sum[n] += weight * old;
                store(row + n * kWidth, old + weight * load(x + d + n * kWidth));
            }
        }
#pragma GCC unroll 8
        for (std::size_t n = 0; n < N; ++n) store(change + d + n * kWidth, sum[n]);
    });
}

bool softmax_of(float* values, std::size_t count) {
    float most = values[0];
    for (std::size_t i = 1; i < count; ++i) most = values[i] > most ? values[i] : most;
    // Filled up with what adds nothing: exp(-87) of the greatest.
    for (std::size_t i = count; i % kWidth != 0; ++i) values[i] = most - 87.0f;
    Vector sum = {};
    Integers infinite = {};
    for (std::size_t i = 0; i < count; i += kWidth) {
        const Vector x = load(values + i) - most;
        infinite |= ~(x > -1e30f);
        const Vector e = exp_of(x < -87.0f ? every(-87.0f) : x);
        sum += e;
        store(values + i, e);
    }
    float total = 0.0f;
    std::int32_t any = 0;
    for (std::size_t n = 0; n < kWidth; ++n) total += sum[n], any |= infinite[n];
    const float share = 1.0f / total;
    for (std::size_t i = 0; i < count; i += kWidth) store(values + i, load(values + i) * share);
    return any == 0;
}

bool sigmoid_of(float* values, std::size_t count) {
    for (std::size_t i = count; i % kWidth != 0; ++i) values[i] = 0.0f;
    Integers infinite = {};
    for (std::size_t i = 0; i < count; i += kWidth) {
        const Vector x = load(values + i);
        infinite |= ~((x < 1e30f) & (x > -1e30f));
        store(values + i, sigmoid_of_minus(-x));
    }
    std::int32_t any = 0;
    for (std::size_t n = 0; n < kWidth; ++n) any |= infinite[n];
    return any == 0;
}
