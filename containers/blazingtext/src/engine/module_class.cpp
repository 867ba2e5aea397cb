// Training of text classifiers, for Python.
#include "module_class.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "class_trainer.h"
#include "examples.h"
#include "python_values.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace blazingtext {
namespace {

using FloatMatrix = nb::ndarray<nb::numpy, float, nb::ndim<2>>;

FloatMatrix view(nb::handle owner, Matrix& matrix, std::size_t rows) {
    return FloatMatrix(matrix.row(0), {rows, matrix.dim()}, owner, {static_cast<std::int64_t>(matrix.stride()), 1});
}

nb::list texts(const ClassDictionary& dictionary, std::size_t begin, std::size_t end) {
    nb::list list;
    for (std::size_t entry = begin; entry < end; ++entry) {
        list.append(nb::str(dictionary.text(entry).data(), dictionary.text(entry).size()));
    }
    return list;
}

}  // namespace

void bind_classes(nb::module_& module) {
    nb::class_<ClassDictionary>(module, "ClassDictionary")
        .def("__init__",
             [](ClassDictionary* self, const Corpus& corpus, std::int64_t min_count, const std::string& label_prefix,
                const std::vector<std::string>& kept) {
                 const std::vector<std::string_view> words(kept.begin(), kept.end());
                 new (self) ClassDictionary(corpus, min_count, label_prefix, words);
             },
             "corpus"_a, "min_count"_a, "label_prefix"_a, "kept"_a = std::vector<std::string>())
        .def_prop_ro("tokens", &ClassDictionary::tokens)
        .def_prop_ro("words", [](const ClassDictionary& self) { return texts(self, 0, self.words()); })
        .def_prop_ro("labels", [](const ClassDictionary& self) { return texts(self, self.words(), self.size()); })
        .def_prop_ro("counts", [](const ClassDictionary& self) { return array_of(self.counts(), {self.size()}); },
                     nb::rv_policy::automatic);

    nb::class_<Examples>(module, "Examples")
        .def("__init__",
             [](Examples* self, const Corpus& corpus, const ClassDictionary& dictionary, int word_ngrams,
                std::uint32_t buckets, int threads) {
                 const nb::gil_scoped_release released;
                 new (self) Examples(corpus, dictionary, NgramSettings{word_ngrams, buckets}, threads);
             },
             "corpus"_a, "dictionary"_a, nb::kw_only(), "word_ngrams"_a, "buckets"_a, "threads"_a)
        .def("encode",
             [](const Examples& self, const Corpus& corpus, const ClassDictionary& dictionary, int threads) {
                 return std::make_unique<Examples>(corpus, dictionary, self, threads);
             },
             "corpus"_a, "dictionary"_a, "threads"_a, nb::call_guard<nb::gil_scoped_release>())
        .def("only",
             [](const Examples& self, const std::vector<std::uint32_t>& rows) {
                 const nb::gil_scoped_release released;
                 return std::make_unique<Examples>(self, rows);
             },
             "rows"_a)
        .def("__len__", &Examples::size)
        .def_prop_ro("rows", &Examples::rows)
        .def_prop_ro("bucket_ids", [](const Examples& self) {
            return array_of(self.buckets().buckets(), {self.buckets().size()});
        }, nb::rv_policy::automatic);

    nb::class_<ClassTrainer>(module, "ClassTrainer")
        .def("__init__",
             [](ClassTrainer* self, const Examples& examples, const ClassDictionary& dictionary,
                const std::string& loss, int dim, int epochs, double learning_rate, std::uint64_t seed, int threads,
                const std::vector<float>& label_weights, const std::string& instructions) {
                 const ClassSettings settings{class_loss_of(loss), dim,           epochs,      learning_rate, seed,
                                              threads,             label_weights, instructions};
                 const auto first = dictionary.counts().begin() + static_cast<std::ptrdiff_t>(dictionary.words());
                 const std::vector<std::int64_t> counts(first, dictionary.counts().end());
                 const nb::gil_scoped_release released;
                 new (self) ClassTrainer(examples, counts, settings);
             },
             "examples"_a, "dictionary"_a, nb::kw_only(), "loss"_a, "dim"_a, "epochs"_a, "learning_rate"_a, "seed"_a,
             "threads"_a, "label_weights"_a = std::vector<float>(), "instructions"_a = "", nb::keep_alive<1, 2>())
        .def("train", &ClassTrainer::train, "examples"_a, nb::call_guard<nb::gil_scoped_release>())
        .def("correct", &ClassTrainer::correct, "examples"_a, "threads"_a, nb::call_guard<nb::gil_scoped_release>())
        .def("keep_weights", &ClassTrainer::keep_weights, nb::call_guard<nb::gil_scoped_release>())
        .def("restore_weights", &ClassTrainer::restore_weights, nb::call_guard<nb::gil_scoped_release>())
        .def("check_finite", &ClassTrainer::check_finite, nb::call_guard<nb::gil_scoped_release>())
        .def_prop_ro("epochs_done", &ClassTrainer::epochs_done)
        .def_prop_ro("progress", &ClassTrainer::progress)
        .def_prop_ro("alpha", &ClassTrainer::learning_rate)
        .def_prop_ro("instructions", [](const ClassTrainer& self) { return self.kernel().name; })
        .def_prop_ro("input",
                     [](nb::handle_t<ClassTrainer> self) {
                         Matrix& input = nb::cast<ClassTrainer&>(self).input();
                         return view(self, input, input.rows() - 1);  // not the row of zeros
                     })
        .def_prop_ro("output", [](nb::handle_t<ClassTrainer> self) {
            Matrix& output = nb::cast<ClassTrainer&>(self).output();
            return view(self, output, output.rows());
        });
}

}  // namespace blazingtext
