// The part of the Python module that reads and uses model files; its interface is described in _engine.pyi.
#include "module_model.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "classifier.h"
#include "composer.h"
#include "model_file.h"
#include "plain_request.h"
#include "python_values.h"
#include "subwords.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace blazingtext {
namespace {

using Rows = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// fastText trains on any bytes: what is not UTF-8 is told with replacement characters.
nb::object decoded(std::string_view text) {
    PyObject* const decoded = PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
    if (decoded == nullptr) throw nb::python_error();
    return nb::steal(decoded);
}

nb::list texts(const Dictionary& dictionary, std::size_t begin, std::size_t end) {
    nb::list list;
    for (std::size_t entry = begin; entry < end; ++entry) list.append(decoded(dictionary.text(entry)));
    return list;
}

nb::object word(const ModelFile& model, std::size_t row) {
    if (row >= model.dictionary().words()) throw nb::index_error("the model has fewer words.");
    return decoded(model.dictionary().text(row));
}

nb::object counts(const ModelFile& model) {
    std::vector<std::int64_t> counts;
    for (std::size_t entry = 0; entry < model.dictionary().words(); ++entry) {
        counts.push_back(model.dictionary().count(entry));
    }
    const std::size_t size = counts.size();
    return nb::cast(array_of(std::move(counts), {size}));
}

const char* name_of(Loss loss) {
    constexpr const char* kNames[] = {"hs", "ns", "softmax", "ova"};
    return kNames[static_cast<int>(loss) - 1];
}

const char* name_of(Architecture architecture) {
    constexpr const char* kNames[] = {"cbow", "skipgram", "supervised"};
    return kNames[static_cast<int>(architecture) - 1];
}

nb::dict header(const ModelFile& model) {
    const ModelSettings& settings = model.settings();
    nb::dict values;
    values["architecture"] = name_of(settings.architecture);
    values["dim"] = settings.dim;
    values["window_size"] = settings.window_size;
    values["epochs"] = settings.epochs;
    values["min_count"] = settings.min_count;
    values["negative_samples"] = settings.negative_samples;
    values["buckets"] = settings.buckets;
    values["min_char"] = settings.min_char;
    values["max_char"] = settings.max_char;
    values["sampling_threshold"] = settings.sampling_threshold;
    values["word_ngrams"] = settings.word_ngrams;
    values["loss"] = name_of(settings.loss);
    return values;
}

nb::object kept_buckets(const ModelFile& model) {
    if (!model.kept_buckets()) return nb::none();
    std::vector<std::int64_t> pairs;
    model.kept_buckets()->each([&](const KeptBuckets::Bucket& kept) {
        pairs.push_back(kept.bucket);
        pairs.push_back(kept.place);
    });
    const std::size_t count = model.kept_buckets()->size();
    return nb::cast(array_of(std::move(pairs), {count, 2}));
}

std::int64_t find(const ModelFile& model, std::string_view word) {
    const std::uint32_t entry = model.dictionary().find(word);
    return entry < model.dictionary().words() ? std::int64_t{entry} : -1;
}

// Rows of `dim` numbers that compose(composer, i, to) makes.
template <typename Compose>
auto composed(const ModelFile& model, const nb::list& texts, Compose compose) {
    const nb::tuple held(texts);
    const std::vector<std::string_view> views = texts_of(held);
    const std::size_t dim = model.input().dim();
    std::vector<float> vectors(views.size() * dim);
    {
        const nb::gil_scoped_release released;
        Composer composer(model);
        for (std::size_t i = 0; i < views.size(); ++i) compose(composer, views[i], vectors.data() + i * dim);
    }
    return array_of(std::move(vectors), {views.size(), dim});
}

auto vectors(const ModelFile& model, const nb::list& words) {
    return composed(model, words,
                    [](Composer& composer, std::string_view word, float* to) { composer.word(word, to); });
}

auto sentence_vectors(const ModelFile& model, const nb::list& texts) {
    return composed(model, texts,
                    [](Composer& composer, std::string_view text, float* to) { composer.sentence(text, to); });
}

auto all_unit_vectors(const ModelFile& model, int threads) {
    const std::size_t words = model.dictionary().words();
    const std::size_t dim = model.input().dim();
    std::vector<float> matrix(words * dim);
    {
        const nb::gil_scoped_release released;
        unit_vectors(model, threads, matrix.data());
    }
    return array_of(std::move(matrix), {words, dim});
}

auto numbers(nb::handle_t<StoredMatrix> self) {
    const auto& matrix = nb::cast<const StoredMatrix&>(self);
    if (matrix.quantised()) throw nb::value_error("the matrix is quantised; take rows of it.");
    const auto* const data = reinterpret_cast<const float*>(matrix.data());
    return nb::ndarray<nb::numpy, const float, nb::ndim<2>>(data, {matrix.rows(), matrix.dim()}, self);
}

auto rows_of(const StoredMatrix& matrix, const Rows& rows) {
    const auto most = static_cast<std::int64_t>(matrix.rows());
    const std::size_t count = rows.shape(0);
    if (std::any_of(rows.data(), rows.data() + count, [&](std::int64_t row) { return row < 0 || row >= most; })) {
        throw nb::index_error("the matrix has no such row.");
    }
    std::vector<float> values(count * matrix.dim());
    {
        const nb::gil_scoped_release released;
        for (std::size_t i = 0; i < count; ++i) {
            matrix.copy(static_cast<std::size_t>(rows.data()[i]), values.data() + i * matrix.dim());
        }
    }
    return array_of(std::move(values), {count, matrix.dim()});
}

// A Python integer; what is beyond 64 bits is as good as the largest number there is.
std::int64_t bounded(nb::handle number) {
    int overflow = 0;
    const std::int64_t value = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
    if (overflow != 0) return overflow > 0 ? INT64_MAX : INT64_MIN;
    if (value == -1 && PyErr_Occurred() != nullptr) throw nb::python_error();
    return value;
}

std::vector<std::int64_t> counts_asked(nb::handle k, std::size_t texts) {
    if (nb::isinstance<nb::int_>(k)) return std::vector<std::int64_t>(texts, bounded(k));
    std::vector<std::int64_t> each;
    for (const nb::handle number : k) each.push_back(bounded(number));
    if (each.size() != texts) throw nb::value_error("k must be one number, or one for each text.");
    return each;
}

// Bytes of a request that is answered before another thread could do much.
constexpr std::size_t kShortRequest = 4096;

// A classifier, and its labels as Python's strings and as JSON.
class NamingClassifier {
public:
    explicit NamingClassifier(const ModelFile& model)
        : classifier_(model), names_(texts(model.dictionary(), model.dictionary().words(), model.dictionary().size())) {
        const nb::object as_json = nb::module_::import_("json").attr("dumps");
        for (const nb::handle name : names_) json_names_.push_back(nb::cast<std::string>(as_json(name)));
    }

    nb::object answer(const nb::bytes& request) const {
        const std::optional<std::string> json = answer_as_json({request.c_str(), request.size()});
        return json ? nb::object(nb::bytes(json->data(), json->size())) : nb::none();
    }

    nb::list predict(nb::handle texts, nb::handle k, float threshold) const {
        const nb::tuple held = nb::steal<nb::tuple>(PySequence_Tuple(texts.ptr()));
        if (!held.is_valid()) throw nb::python_error();
        const Predictions found = predictions(held, k, threshold);
        nb::list answers;
        for (std::size_t i = 0; i + 1 < found.starts.size(); ++i) {
            nb::list labels, probabilities;
            for (auto at = static_cast<std::size_t>(found.starts[i]); at < static_cast<std::size_t>(found.starts[i + 1]);
                 ++at) {
                labels.append(names_[static_cast<std::size_t>(found.labels[at])]);
                probabilities.append(found.probabilities[at]);
            }
            nb::dict answer;
            answer[label_] = labels;
            answer[probability_] = probabilities;
            answers.append(answer);
        }
        return answers;
    }

private:
    Predictions predictions(const nb::tuple& texts, nb::handle k, float threshold) const {
        const std::vector<std::string_view> views = texts_of(texts);
        const std::vector<std::int64_t> most = counts_asked(k, views.size());
        const nb::gil_scoped_release released;
        return classifier_.predict(views, most, threshold);
    }

    std::optional<std::string> answer_as_json(std::string_view request) const {
        std::optional<nb::gil_scoped_release> released;
        if (request.size() > kShortRequest) released.emplace();
        const auto texts = plain_texts(request);
        if (!texts) return std::nullopt;
        const std::vector<std::int64_t> one_each(texts->size(), 1);
        return as_json(classifier_.predict(*texts, one_each, 0.0f), json_names_);
    }

    Classifier classifier_;
    nb::list names_;
    std::vector<std::string> json_names_;
    nb::str label_{"label"};
    nb::str probability_{"prob"};
};

void bind_model_file(nb::module_& module) {
    nb::class_<StoredMatrix>(module, "StoredMatrix")
        .def_prop_ro("shape", [](const StoredMatrix& self) { return nb::make_tuple(self.rows(), self.dim()); })
        .def_prop_ro("quantised", &StoredMatrix::quantised)
        .def_prop_ro("numbers", &numbers)
        .def("__getitem__", &rows_of, "rows"_a);
    nb::class_<ModelFile>(module, "ModelFile")
        .def(nb::init<std::string, const std::string&>(), "path"_a, "instructions"_a = "",
             nb::call_guard<nb::gil_scoped_release>())
        .def("hold_input", &ModelFile::hold_input, nb::call_guard<nb::gil_scoped_release>())
        .def_prop_ro("version", &ModelFile::version)
        .def_prop_ro("header", &header)
        .def_prop_ro("supervised", &ModelFile::supervised)
        .def_prop_ro("tokens", &ModelFile::tokens)
        .def_prop_ro("words",
                     [](const ModelFile& self) { return texts(self.dictionary(), 0, self.dictionary().words()); })
        .def_prop_ro("labels",
                     [](const ModelFile& self) {
                         return texts(self.dictionary(), self.dictionary().words(), self.dictionary().size());
                     })
        .def_prop_ro("counts", &counts)
        .def_prop_ro("kept_buckets", &kept_buckets)
        .def_prop_ro("input", &ModelFile::input, nb::rv_policy::reference_internal)
        .def_prop_ro("output", &ModelFile::output, nb::rv_policy::reference_internal)
        .def("word", &word, "row"_a)
        .def("find", &find, "word"_a)
        .def("vectors", &vectors, "words"_a)
        .def("sentence_vectors", &sentence_vectors, "texts"_a)
        .def("unit_vectors", &all_unit_vectors, "threads"_a);
}

}  // namespace

void bind_model(nb::module_& module) {
    nb::exception<FormatError>(module, "FormatError", PyExc_ValueError);
    bind_model_file(module);
    nb::class_<NamingClassifier>(module, "Classifier")
        .def(nb::init<const ModelFile&>(), "model"_a, nb::keep_alive<1, 2>())
        .def("answer", &NamingClassifier::answer, "request"_a)
        .def("predict", &NamingClassifier::predict, "texts"_a, "k"_a, "threshold"_a = 0.0f);
}

}  // namespace blazingtext
