#include "told_counts.h"

#include <cstring>
#include <stdexcept>
#include <type_traits>

namespace blazingtext {
namespace {

// What is told: a header, an entry for each word, then the words' texts one after the other.
struct Header {
    AmountRead amount;
    std::uint64_t words;
};

struct Entry {
    std::int64_t count;
    std::uint64_t first;
    std::uint64_t length;
};

template <typename Value>
void append(std::string& to, const Value& value) {
    static_assert(std::is_trivially_copyable_v<Value>);
    to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string_view take(std::string_view& from, std::uint64_t size) {
    if (from.size() < size) throw std::invalid_argument("the counts of another host's words are cut off.");
    const std::string_view taken = from.substr(0, size);
    from.remove_prefix(size);
    return taken;
}

template <typename Value>
Value take(std::string_view& from) {
    Value value;
    std::memcpy(&value, take(from, sizeof value).data(), sizeof value);
    return value;
}

}  // namespace

std::string told_counts(const AmountRead& amount, const WordCounter& counter) {
    std::string told;
    append(told, Header{amount, counter.entries().size()});
    for (const WordCounter::Entry& word : counter.entries()) append(told, Entry{word.count, word.first, word.text.size()});
    for (const WordCounter::Entry& word : counter.entries()) told.append(word.text);
    return told;
}

AmountRead add_told_counts(std::string_view told, WordCounter& counter) {
    const auto header = take<Header>(told);
    if (header.words > told.size() / sizeof(Entry)) take(told, told.size() + 1);
    std::string_view entries = take(told, header.words * sizeof(Entry));
    for (std::uint64_t i = 0; i < header.words; ++i) {
        const auto entry = take<Entry>(entries);
        const std::string_view text = take(told, entry.length);
        counter.add(text, word_hash(text), entry.count, entry.first);
    }
    return header.amount;
}

}  // namespace blazingtext
