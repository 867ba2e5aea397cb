#include "plain_request.h"

#include <charconv>
#include <cstddef>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "utf8.h"

namespace blazingtext {
namespace {

bool ends_plain_text(char byte) { return byte == '"' || byte == '\\' || static_cast<unsigned char>(byte) < 0x20; }

// The place of the next quotation mark, backslash or control character from `at` on; the end where there is none.
// Sets `beyond_ascii` if there may be a character beyond ASCII before it.
std::size_t end_of_plain_text(std::string_view text, std::size_t at, bool& beyond_ascii) {
#if defined(__SSE2__)
    for (; text.size() - at >= sizeof(__m128i); at += sizeof(__m128i)) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at));
        const __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
        const __m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
        const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes);
        beyond_ascii |= _mm_movemask_epi8(bytes) != 0;
        const int found = _mm_movemask_epi8(_mm_or_si128(quote, _mm_or_si128(backslash, control)));
        if (found != 0) return at + static_cast<std::size_t>(__builtin_ctz(static_cast<unsigned>(found)));
    }
#endif
    for (; at < text.size() && !ends_plain_text(text[at]); ++at) beyond_ascii |= static_cast<signed char>(text[at]) < 0;
    return at;
}

// Reads a request from its start.
class Reader {
public:
    explicit Reader(std::string_view request) : request_(request) {}

    bool take(char expected) {
        skip_blanks();
        if (at_ == request_.size() || request_[at_] != expected) return false;
        ++at_;
        return true;
    }

    std::optional<std::string_view> take_text() {
        if (!take('"')) return std::nullopt;
        const std::size_t end = end_of_plain_text(request_, at_, beyond_ascii_);
        if (end == request_.size() || request_[end] != '"') return std::nullopt;
        const std::string_view text = request_.substr(at_, end - at_);
        at_ = end + 1;
        return text;
    }

    // Whether there may have been a character beyond ASCII in a text.
    bool beyond_ascii() const { return beyond_ascii_; }

    bool at_end() {
        skip_blanks();
        return at_ == request_.size();
    }

private:
    void skip_blanks() {
        while (at_ < request_.size() && is_blank(request_[at_])) ++at_;
    }

    static bool is_blank(char byte) { return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r'; }

    std::string_view request_;
    std::size_t at_ = 0;
    bool beyond_ascii_ = false;
};

// Bytes of the answer to one text, if its label is no long one.
constexpr std::size_t kUsualAnswer = 96;

void append_number(double number, std::string& to) {
    char digits[32];
    const auto [end, error] = std::to_chars(digits, digits + sizeof digits, number);
    to.append(digits, end);
    // A whole number would be read as an integer.
    if (std::string_view(digits, static_cast<std::size_t>(end - digits)).find_first_of(".e") == std::string_view::npos) {
        to.append(".0");
    }
}

}  // namespace

std::optional<std::vector<std::string_view>> plain_texts(std::string_view request) {
    Reader reader(request);
    std::vector<std::string_view> texts;
    if (!reader.take('{') || reader.take_text() != std::string_view("instances") || !reader.take(':') ||
        !reader.take('[')) {
        return std::nullopt;
    }
    if (!reader.take(']')) {
        do {
            const auto text = reader.take_text();
            if (!text) return std::nullopt;
            texts.push_back(*text);
        } while (reader.take(','));
        if (!reader.take(']')) return std::nullopt;
    }
    if (!reader.take('}') || !reader.at_end()) return std::nullopt;
    if (reader.beyond_ascii() && first_not_utf8(request.data(), request.size()) != request.size()) return std::nullopt;
    return texts;
}

std::string as_json(const Predictions& predictions, const std::vector<std::string>& labels) {
    std::string json;
    json.reserve(kUsualAnswer * predictions.starts.size());
    json.push_back('[');
    for (std::size_t i = 0; i + 1 < predictions.starts.size(); ++i) {
        const auto begin = static_cast<std::size_t>(predictions.starts[i]);
        const auto end = static_cast<std::size_t>(predictions.starts[i + 1]);
        json.append(i == 0 ? "{\"label\":[" : ",{\"label\":[");
        for (std::size_t at = begin; at < end; ++at) {
            if (at != begin) json.push_back(',');
            json.append(labels[static_cast<std::size_t>(predictions.labels[at])]);
        }
        json.append("],\"prob\":[");
        for (std::size_t at = begin; at < end; ++at) {
            if (at != begin) json.push_back(',');
            append_number(predictions.probabilities[at], json);
        }
        json.append("]}");
    }
    json.push_back(']');
    return json;
}

}  // namespace blazingtext
