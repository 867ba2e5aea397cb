// The part of the Python module that keeps answers; its interface is described in _engine.pyi.
#include "module_answers.h"

#include <cstddef>
#include <cstring>
#include <string_view>
#include <vector>

#include "kept_answers.h"
#include "plain_request.h"
#include "python_values.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace blazingtext {
namespace {

std::string_view view_of(const nb::bytes& bytes) { return {bytes.c_str(), bytes.size()}; }

// "[", the answers with commas between them, and "]".
nb::object json_list(const std::vector<std::string_view>& answers) {
    std::size_t size = answers.empty() ? 2 : 1 + answers.size();
    for (const std::string_view answer : answers) size += answer.size();
    nb::object list = nb::steal(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size)));
    if (!list.is_valid()) throw nb::python_error();
    char* to = PyBytes_AS_STRING(list.ptr());
    *to++ = '[';
    for (std::size_t i = 0; i < answers.size(); ++i) {
        if (i > 0) *to++ = ',';
        std::memcpy(to, answers[i].data(), answers[i].size());
        to += answers[i].size();
    }
    *to = ']';
    return list;
}

nb::object get(KeptAnswers& kept, nb::handle word) {
    const std::vector<std::string_view> found = kept.find({text_of(word)});
    return found.empty() ? nb::none() : nb::object(nb::bytes(found[0].data(), found[0].size()));
}

nb::object answer(KeptAnswers& kept, const nb::bytes& request, std::size_t most_words) {
    const auto words = plain_texts(view_of(request));
    if (!words || words->size() > most_words) return nb::none();
    const std::vector<std::string_view> found = kept.find(*words);
    if (found.size() == words->size()) return json_list(found);
    nb::list missing;
    for (const std::string_view word : *words) missing.append(nb::str(word.data(), word.size()));
    return missing;
}

}  // namespace

void bind_answers(nb::module_& module) {
    nb::class_<KeptAnswers>(module, "KeptAnswers")
        .def(nb::init<std::size_t>(), "most"_a)
        .def("get", &get, "word"_a)
        .def("keep",
             [](KeptAnswers& kept, nb::handle word, const nb::bytes& answer) { kept.keep(text_of(word), view_of(answer)); },
             "word"_a, "answer"_a)
        .def("answer", &answer, "request"_a, "most_words"_a);
}

}  // namespace blazingtext
