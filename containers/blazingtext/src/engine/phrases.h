// Joining words that often occur side by side into one ("new york" -> "new_york").
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace blazingtext {

struct PhraseSettings {
    int passes;              // each may join what the one before has joined
    double threshold;        // of the score, above 0
    std::int64_t min_count;  // delta of the score: pairs that occur no more often are not joined
    std::string delimiter;   // between the words of a phrase
    int threads;
};

struct PhraseCounts {
    std::size_t tokens_read;
    std::size_t tokens_written;
    std::vector<std::size_t> kinds;  // of pairs that were joined, pass by pass
};

// Rewrites a corpus, line by line, with the words a and b of a pair joined from left to right where, with counts n and
// all tokens T (Mikolov et al. 2013, "Distributed representations of words and phrases", eq. 6, scaled by T as
// word2phrase does),
//     (n(ab) - min_count) T / (n(a) n(b)) > threshold.
// The file appears under its name when it is complete. Throws what reading a Corpus throws.
PhraseCounts join_phrases(const std::vector<std::string>& paths, const std::string& output,
                          const PhraseSettings& settings);

}  // namespace blazingtext
