// Arithmetic on rows as a model file holds them: dim floats, one row behind the other, at any address. Part of
// kernel.inl. A row is taken in vectors as wide as it allows, and the last of them ends where the row ends, over part
// of the one before: nothing beyond a row is ever read.

template <typename V>
constexpr std::size_t width_of = sizeof(V) / sizeof(float);

// Any address will do.
template <typename V>
inline V taken(const void* from) {
    V value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}

template <typename V>
inline void put(float* to, V value) {
    __builtin_memcpy(to, &value, sizeof value);
}

// Lines of a row that is needed soon, on the way to the cache.
inline void fetch(const char* row, std::size_t bytes) {
    constexpr std::size_t kLine = 64;
    for (std::size_t at = 0; at < bytes; at += kLine) __builtin_prefetch(row + at);
    __builtin_prefetch(row + bytes - 1);
}

// So many rows ahead: as many as a core has in flight.
constexpr std::size_t kAhead = 12;

// Some columns of the mean: the sums stay in registers while the rows pass by.
template <typename V, std::size_t Columns>
inline void mean_of_columns(const PackedRows& matrix, const std::uint32_t* rows, std::size_t count, float* mean,
                            std::size_t first, bool fetching) {
    const std::size_t bytes = matrix.dim * sizeof(float);
    std::size_t at[Columns];
    for (std::size_t c = 0; c < Columns; ++c) {
        const std::size_t d = (first + c) * width_of<V>;
        at[c] = d + width_of<V> <= matrix.dim ? d : matrix.dim - width_of<V>;
    }
    V sum[Columns] = {};
    for (std::size_t i = 0; i < count; ++i) {
        if (fetching && i + kAhead < count) fetch(matrix.data + rows[i + kAhead] * bytes, bytes);
        const char* const row = matrix.data + rows[i] * bytes;
#pragma GCC unroll 4
        for (std::size_t c = 0; c < Columns; ++c) sum[c] += taken<V>(row + at[c] * sizeof(float));
    }
    const float share = 1.0f / static_cast<float>(count);
    for (std::size_t c = 0; c < Columns; ++c) put(mean + at[c], sum[c] * share);
}

template <typename V>
void mean_in_vectors(const PackedRows& matrix, const std::uint32_t* rows, std::size_t count, float* mean) {
    for (std::size_t i = 0; i < count && i < kAhead; ++i) {
        fetch(matrix.data + rows[i] * matrix.dim * sizeof(float), matrix.dim * sizeof(float));
    }
    const std::size_t columns = (matrix.dim + width_of<V> - 1) / width_of<V>;
    std::size_t c = 0;
    for (; c + 4 <= columns; c += 4) mean_of_columns<V, 4>(matrix, rows, count, mean, c, c == 0);
    if (columns - c == 3) mean_of_columns<V, 3>(matrix, rows, count, mean, c, c == 0);
    if (columns - c == 2) mean_of_columns<V, 2>(matrix, rows, count, mean, c, c == 0);
    if (columns - c == 1) mean_of_columns<V, 1>(matrix, rows, count, mean, c, c == 0);
}

void mean_of_packed(const PackedRows& matrix, const std::uint32_t* rows, std::size_t count, float* mean) {
#if KERNEL_WIDTH == 16
    if (matrix.dim >= 16) return mean_in_vectors<Vector>(matrix, rows, count, mean);
#endif
#if KERNEL_WIDTH >= 8
    if (matrix.dim >= 8) return mean_in_vectors<Eight>(matrix, rows, count, mean);
#endif
    if (matrix.dim >= 4) return mean_in_vectors<Four>(matrix, rows, count, mean);
    for (std::size_t d = 0; d < matrix.dim; ++d) {
        float sum = 0.0f;
        for (std::size_t i = 0; i < count; ++i) {
            sum += taken<float>(matrix.data + (rows[i] * matrix.dim + d) * sizeof(float));
        }
        mean[d] = sum * (1.0f / static_cast<float>(count));
    }
}

// Four rows at a time. A row's product does not depend on its place among them: equal rows have equal products.
template <typename V>
void products_in_vectors(const PackedRows& matrix, std::size_t count, const float* x, float* products) {
    const std::size_t whole = matrix.dim / width_of<V> * width_of<V>;
    const std::size_t last = matrix.dim - width_of<V>;
    float rest[width_of<V>] = {};  // of x; nothing where the vector before has been
    for (std::size_t d = whole; d < matrix.dim; ++d) rest[d - last] = x[d];
    const V xs_rest = taken<V>(rest);
    for (std::size_t i = 0; i < count; i += 4) {
        const char* row[4];
        for (std::size_t r = 0; r < 4; ++r) {
            row[r] = matrix.data + (i + r < count ? i + r : i) * matrix.dim * sizeof(float);
        }
        V sum[4] = {};
        for (std::size_t d = 0; d < whole; d += width_of<V>) {
            const V xs = taken<V>(x + d);
#pragma GCC unroll 4
            for (std::size_t r = 0; r < 4; ++r) sum[r] += taken<V>(row[r] + d * sizeof(float)) * xs;
        }
        if (whole != matrix.dim) {
#pragma GCC unroll 4
            for (std::size_t r = 0; r < 4; ++r) sum[r] += taken<V>(row[r] + last * sizeof(float)) * xs_rest;
        }
        Four folds[4];
        for (std::size_t r = 0; r < 4; ++r) folds[r] = folded(sum[r]);
        const Four ab = __builtin_shufflevector(folds[0], folds[1], 0, 4, 1, 5) +
                        __builtin_shufflevector(folds[0], folds[1], 2, 6, 3, 7);
        const Four cd = __builtin_shufflevector(folds[2], folds[3], 0, 4, 1, 5) +
                        __builtin_shufflevector(folds[2], folds[3], 2, 6, 3, 7);
        const Four four =
            __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
        for (std::size_t r = 0; r < 4 && i + r < count; ++r) products[i + r] = four[r];
    }
}

void products_of_packed(const PackedRows& matrix, std::size_t count, const float* x, float* products) {
#if KERNEL_WIDTH == 16
    if (matrix.dim >= 16) return products_in_vectors<Vector>(matrix, count, x, products);
#endif
#if KERNEL_WIDTH >= 8
    if (matrix.dim >= 8) return products_in_vectors<Eight>(matrix, count, x, products);
#endif
    if (matrix.dim >= 4) return products_in_vectors<Four>(matrix, count, x, products);
    for (std::size_t i = 0; i < count; ++i) {
        float sum = 0.0f;
        for (std::size_t d = 0; d < matrix.dim; ++d) {
            sum += taken<float>(matrix.data + (i * matrix.dim + d) * sizeof(float)) * x[d];
        }
        products[i] = sum;
    }
}
