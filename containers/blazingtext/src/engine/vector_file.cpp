#include "vector_file.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "parallel.h"
#include "utf8.h"

namespace blazingtext {
namespace {

constexpr std::size_t kPartBytes = 4 << 20;
constexpr std::size_t kPartWords = 1024;
constexpr std::size_t kSampleBytes = 4096;

bool is_blank(char byte) { return byte == ' ' || byte == '\t' || byte == '\r'; }

const char* skip_blanks(const char* at, const char* end) {
    while (at < end && is_blank(*at)) ++at;
    return at;
}

const char* skip_field(const char* at, const char* end) {
    while (at < end && !is_blank(*at) && *at != '\n') ++at;
    return at;
}

const char* line_end(const char* at, const char* end) {
    const void* newline = std::memchr(at, '\n', static_cast<std::size_t>(end - at));
    return newline == nullptr ? end : static_cast<const char*>(newline);
}

// One number; nullptr when there is none. Numbers too small for a float are zeros or as near as floats come.
const char* parse_number(const char* at, const char* end, float& number) {
    const std::from_chars_result result = std::from_chars(at, end, number);
    if (result.ec == std::errc::invalid_argument) return nullptr;
    if (result.ec == std::errc::result_out_of_range) {
        number = static_cast<float>(std::strtod(std::string(at, result.ptr).c_str(), nullptr));
    }
    return result.ptr;
}

bool is_empty(const char* at, const char* end) {
    return std::all_of(at, end, [](char byte) { return is_blank(byte) || byte == '\n'; });
}

// Whether a corpus may hold the word.
bool is_token(std::string_view word) {
    constexpr std::string_view separators(" \t\n\r\v\f\0", 7);
    return !word.empty() && word.find_first_of(separators) == std::string_view::npos &&
           first_not_utf8(word.data(), word.size()) == word.size();
}

std::size_t count_fields(const char* at, const char* end) {
    std::size_t fields = 0;
    for (at = skip_blanks(at, end); at < end; at = skip_blanks(skip_field(at, end), end)) ++fields;
    return fields;
}

}  // namespace

VectorFile::VectorFile(std::string path, int threads)
    : file_(std::move(path)), threads_(threads), begin_(file_.data()), end_(file_.data() + file_.size()) {
    if (threads < 1) throw std::invalid_argument("threads must be at least 1.");
    const bool has_header = read_header();
    binary_ = has_header && !looks_like_text();
    if (binary_) {
        find_records();
    } else {
        if (!has_header && begin_ < end_) {
            const std::size_t fields = count_fields(begin_, line_end(begin_, end_));
            if (fields < 2) refuse(begin_, "it has no numbers");
            dim_ = fields - 1;
        }
        find_lines();
    }
    if (entries_.empty()) throw std::invalid_argument(file_.path() + " holds no vectors.");
    if (has_header && entries_.size() + skipped_ != stated_) {
        throw std::invalid_argument(file_.path() + " holds " + std::to_string(entries_.size() + skipped_) +
                                    " vectors, but its first line says " + std::to_string(stated_) +
                                    "; is it cut short?");
    }
}

// "V D" on a line of its own. A word and one number without a header would look the same; such vectors mean nothing.
bool VectorFile::read_header() {
    const char* const end = line_end(begin_, std::min(end_, begin_ + kSampleBytes));
    std::size_t numbers[2] = {};
    const char* at = begin_;
    for (std::size_t& number : numbers) {
        at = skip_blanks(at, end);
        const std::from_chars_result result = std::from_chars(at, end, number);
        if (result.ec != std::errc() || (result.ptr < end && !is_blank(*result.ptr))) return false;
        at = result.ptr;
    }
    if (skip_blanks(at, end) != end || numbers[1] == 0) return false;
    stated_ = numbers[0];
    dim_ = numbers[1];
    begin_ = std::min(end + 1, end_);
    return true;
}

// Floats as bytes are hardly ever UTF-8 without control characters.
bool VectorFile::looks_like_text() const {
    const char* sample_end = begin_ + std::min(kSampleBytes, static_cast<std::size_t>(end_ - begin_));
    if (sample_end < end_) {  // cut where a character ends
        while (sample_end > begin_ && (static_cast<unsigned char>(*sample_end) & 0xC0) == 0x80) --sample_end;
    }
    const auto size = static_cast<std::size_t>(sample_end - begin_);
    const bool controls = std::any_of(begin_, sample_end, [](char byte) {
        return static_cast<unsigned char>(byte) < 0x20 && !is_blank(byte) && byte != '\n';
    });
    if (!controls && first_not_utf8(begin_, size) == size) return true;
    // Text with a word that was cut in the middle of a character.
    float number = 0;
    const char* const after_word = skip_blanks(skip_field(begin_, sample_end), sample_end);
    const char* const after_number = parse_number(after_word, sample_end, number);
    return after_number != nullptr && after_number < sample_end && (is_blank(*after_number) || *after_number == '\n');
}

void VectorFile::find_lines() {
    std::vector<const char*> starts{begin_};
    for (const char* at = begin_; at < end_; starts.push_back(at)) {
        at += std::min(kPartBytes, static_cast<std::size_t>(end_ - at));
        at = std::min(line_end(at, end_) + 1, end_);
    }
    std::vector<std::vector<Entry>> found(starts.size() - 1);
    std::atomic<std::size_t> next{0};
    in_parallel(threads_, [&](int) {
        for (std::size_t part = next++; part < found.size(); part = next++) {
            for (const char* at = starts[part]; at < starts[part + 1];) {
                const char* const after = skip_field(at, end_);
                if (after == at) {
                    if (is_empty(at, end_)) break;
                    refuse(at, "it does not begin with a word");
                }
                found[part].push_back(Entry{std::string_view(at, static_cast<std::size_t>(after - at)), after});
                at = std::min(line_end(after, end_) + 1, end_);
            }
        }
    });
    for (std::vector<Entry>& part : found) keep_tokens(part);
}

void VectorFile::find_records() {
    std::vector<Entry> found;
    const char* at = begin_;
    const std::size_t bytes = dim_ * sizeof(float);
    for (std::size_t i = 0; i < stated_; ++i) {
        while (at < end_ && *at == '\n') ++at;
        const auto* const space =
            static_cast<const char*>(at < end_ ? std::memchr(at, ' ', static_cast<std::size_t>(end_ - at)) : nullptr);
        if (space == nullptr || static_cast<std::size_t>(end_ - space - 1) < bytes) {
            throw std::invalid_argument(file_.path() + " ends inside word " + std::to_string(i + 1) + " of " +
                                        std::to_string(stated_) + "; is it cut short?");
        }
        found.push_back(Entry{std::string_view(at, static_cast<std::size_t>(space - at)), space + 1});
        at = space + 1 + bytes;
    }
    keep_tokens(found);
}

void VectorFile::keep_tokens(std::vector<Entry>& found) {
    for (const Entry& entry : found) {
        if (is_token(entry.word)) {
            entries_.push_back(entry);
        } else {
            ++skipped_;
        }
    }
    std::vector<Entry>().swap(found);
}

void VectorFile::copy(const std::int64_t* rows, float* matrix, std::int64_t row_stride) const {
    std::atomic<std::size_t> next{0};
    in_parallel(threads_, [&](int) {
        std::vector<float> numbers(dim_);
        for (std::size_t begin = next.fetch_add(kPartWords); begin < size(); begin = next.fetch_add(kPartWords)) {
            for (std::size_t i = begin; i < std::min(begin + kPartWords, size()); ++i) {
                if (rows[i] < 0) continue;
                parse(entries_[i], numbers.data());
                if (!std::all_of(numbers.begin(), numbers.end(), [](float x) { return std::isfinite(x); })) {
                    refuse(entries_[i].word.data(), "it has a number that is not finite");
                }
                std::copy(numbers.begin(), numbers.end(), matrix + rows[i] * row_stride);
            }
        }
    });
}

void VectorFile::parse(const Entry& entry, float* to) const {
    if (binary_) {
        std::memcpy(to, entry.numbers, dim_ * sizeof(float));
        return;
    }
    const char* const end = line_end(entry.numbers, end_);
    const char* at = skip_blanks(entry.numbers, end);
    for (std::size_t d = 0; d < dim_; ++d) {
        const char* const after = at == end ? nullptr : parse_number(at, end, to[d]);
        if (after == nullptr || (after < end && !is_blank(*after))) break;
        at = skip_blanks(after, end);
        if (d + 1 == dim_ && at == end) return;
    }
    const std::size_t fields = count_fields(entry.numbers, end);
    if (fields != dim_) {
        refuse(entry.word.data(), "it has " + std::to_string(fields) + " numbers; it must have " + std::to_string(dim_));
    }
    refuse(entry.word.data(), "it has something that is not a number");
}

void VectorFile::refuse(const char* at, const std::string& reason) const {
    std::string place;
    if (binary_) {
        const auto entry = std::find_if(entries_.begin(), entries_.end(),
                                        [&](const Entry& other) { return other.word.data() == at; });
        place = "word '" + std::string(entry->word) + "'";
    } else {
        place = "line " + std::to_string(1 + std::count(file_.data(), at, '\n'));
    }
    throw std::invalid_argument(file_.path() + " cannot be read: " + place + ": " + reason + ".");
}

}  // namespace blazingtext
