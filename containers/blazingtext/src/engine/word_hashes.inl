// Hashes of words side by side; a part of kernel.inl.

void hash_words(const WordParts& words, const std::uint32_t* lengths, std::size_t count, std::uint32_t* hashes) {
    typedef std::uint32_t Words __attribute__((vector_size(kWidth * sizeof(std::uint32_t)), may_alias));
    static_assert(kWordsAtOnce % kWidth == 0, "what lies behind the last word is read");
    for (std::size_t i = 0; i < count; i += kWidth) {
        const Words length = taken<Words>(lengths + i);
        Words hash = Words{} + kFnvBasis;
        std::uint32_t at = 0;
        for (const std::uint32_t* part : words.parts) {
            const Words four = taken<Words>(part + i);
            for (int shift = 24; shift >= 0; shift -= 8, ++at) {
                // Extended with its sign, as a char of fnv1a_step.
                const Integers byte = reinterpret_cast<Integers>(four << shift) >> 24;
                const Words next = (hash ^ reinterpret_cast<Words>(byte)) * kFnvPrime;
                hash = length > at ? next : hash;
            }
        }
        __builtin_memcpy(hashes + i, &hash, sizeof hash);
    }
}
