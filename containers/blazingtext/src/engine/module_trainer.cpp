// The part of the Python module that trains word vectors; its interface is described in _engine.pyi.
#include "module_trainer.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "corpus.h"
#include "matrix.h"
#include "python_values.h"
#include "replica.h"
#include "settings.h"
#include "trainer.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace blazingtext {
namespace {

using FloatMatrix = nb::ndarray<nb::numpy, float, nb::ndim<2>>;
using UnsignedNumbers = nb::ndarray<const std::uint64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Floats = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using FloatRows = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using CurvatureArrays = std::tuple<FloatRows, Floats, float>;

FloatMatrix view(nb::handle owner, Matrix& matrix) {
    const auto stride = static_cast<std::int64_t>(matrix.stride());
    return FloatMatrix(matrix.row(0), {matrix.rows(), matrix.dim()}, owner, {stride, 1});
}

nb::ndarray<nb::numpy, const float, nb::ndim<2>> read_only(nb::handle owner, const Matrix& matrix) {
    const auto stride = static_cast<std::int64_t>(matrix.stride());
    return nb::ndarray<nb::numpy, const float, nb::ndim<2>>(matrix.row(0), {matrix.rows(), matrix.dim()}, owner,
                                                            {stride, 1});
}

// A read-only array of what `owner` holds.
template <class Value>
nb::ndarray<nb::numpy, const Value, nb::ndim<1>> read_only(nb::handle owner, const Value* values, std::size_t size) {
    return nb::ndarray<nb::numpy, const Value, nb::ndim<1>>(values, {size}, owner);
}

template <class Value>
auto read_only(nb::handle owner, const std::vector<Value>& values) {
    return read_only(owner, values.data(), values.size());
}

auto negative_table(nb::handle_t<Trainer> self) {
    using Place = NegativeSampler::Place;
    static_assert(sizeof(Place) == 2 * sizeof(std::uint32_t));
    const std::vector<Place>& places = nb::cast<const Trainer&>(self).negatives().places();
    return nb::ndarray<nb::numpy, const std::uint32_t, nb::shape<-1, 2>>(&places[0].own, {places.size(), 2}, self);
}

nb::dict settings_of(const Trainer& trainer) {
    const Settings& settings = trainer.settings();
    nb::dict values;
    values["mode"] = name_of(settings.mode);
    values["window_size"] = settings.window_size;
    values["negative_samples"] = settings.negative_samples;
    values["batch_size"] = settings.batch_size;
    values["epochs"] = settings.epochs;
    values["learning_rate"] = settings.learning_rate;
    values["subwords"] = settings.subwords;
    values["seed"] = settings.seed;
    return values;
}

FloatMatrix word_vectors(const Trainer& trainer, const std::optional<std::vector<std::size_t>>& rows) {
    const std::size_t words = trainer.vocabulary().size();
    const std::size_t dim = trainer.input().dim();
    if (rows && std::any_of(rows->begin(), rows->end(), [&](std::size_t row) { return row >= words; })) {
        throw nb::index_error("rows must be below the number of words.");
    }
    const std::size_t count = rows ? rows->size() : words;
    std::unique_ptr<float[]> vectors(new float[std::max<std::size_t>(count * dim, 1)]);
    {
        const nb::gil_scoped_release released;
        if (rows) {
            for (std::size_t i = 0; i < count; ++i) {
                trainer.word_vectors((*rows)[i], (*rows)[i] + 1, vectors.get() + i * dim);
            }
        } else {
            trainer.word_vectors(0, words, vectors.get());
        }
    }
    return owned(std::move(vectors), count, dim);
}

auto pause(Trainer& trainer) {
    std::vector<std::uint64_t> numbers;
    {
        const nb::gil_scoped_release released;
        numbers = trainer.pause();
    }
    std::unique_ptr<std::uint64_t[]> copy(new std::uint64_t[numbers.size()]);
    std::copy(numbers.begin(), numbers.end(), copy.get());
    return owned(std::move(copy), numbers.size());
}

void resume(Trainer& trainer, UnsignedNumbers paused) {
    trainer.resume(std::vector<std::uint64_t>(paused.data(), paused.data() + paused.size()));
}

std::unique_ptr<Corpus> encoded(CorpusPart& part, std::int64_t min_count, int threads,
                                const std::vector<nb::bytes>& others, nb::list words) {
    std::vector<std::string_view> counts;
    for (const nb::bytes& other : others) counts.emplace_back(other.c_str(), other.size());
    const nb::tuple held(words);
    const std::vector<std::string_view> texts = texts_of(held);
    const nb::gil_scoped_release released;
    return std::make_unique<Corpus>(std::move(part), min_count, threads, counts, texts);
}

void bind_corpus(nb::module_& module) {
    nb::class_<Corpus>(module, "Corpus")
        .def(nb::init<const std::vector<std::string>&, std::int64_t, int>(), "paths"_a, "min_count"_a, "threads"_a,
             nb::call_guard<nb::gil_scoped_release>())
        .def_prop_ro("tokens_read", &Corpus::tokens_read)
        .def_prop_ro("bytes_read", &Corpus::bytes_read)
        .def_prop_ro("words", [](const Corpus& self) { return list_of(self.vocabulary()); })
        .def_prop_ro("counts",
                     [](nb::handle_t<Corpus> self) {
                         return read_only(self, nb::cast<const Corpus&>(self).vocabulary().counts());
                     })
        .def("tokens", [](const Corpus& corpus) {
            std::unique_ptr<std::uint32_t[]> copy(new std::uint32_t[corpus.size()]);
            for (std::size_t i = 0; i < corpus.size(); ++i) copy[i] = corpus.tokens()[i];
            return owned(std::move(copy), corpus.size());
        });
    nb::class_<CorpusPart>(module, "CorpusPart")
        .def(nb::init<const std::vector<std::string>&, int, int, int>(), "paths"_a, "threads"_a, "rank"_a, "ranks"_a,
             nb::call_guard<nb::gil_scoped_release>())
        .def_prop_ro("counts", [](const CorpusPart& self) {
                         const std::string counts = self.counts();
                         return nb::bytes(counts.data(), counts.size());
                     })
        .def("encode", &encoded, "min_count"_a, "threads"_a, "others"_a,
             "words"_a = nb::list());
}

void bind_trainer(nb::module_& module) {
    nb::class_<Trainer>(module, "Trainer")
        .def(
            "__init__",
            [](Trainer* self, const Corpus& corpus, const std::string& mode, int dim, int window_size,
               int negative_samples, int batch_size, int epochs, double learning_rate, double sampling_threshold,
               bool subwords, int min_char, int max_char, std::uint32_t buckets, std::uint64_t seed, int threads,
               int rank, const std::string& instructions) {
                const Settings settings{mode_of(mode), dim,           window_size,        negative_samples,
                                        batch_size,    epochs,        learning_rate,      sampling_threshold,
                                        subwords,      min_char,      max_char,           buckets,
                                        seed,          threads,       rank,               instructions};
                const nb::gil_scoped_release released;
                new (self) Trainer(corpus, settings);
            },
            "corpus"_a, nb::kw_only(), "mode"_a, "dim"_a, "window_size"_a, "negative_samples"_a, "batch_size"_a,
            "epochs"_a, "learning_rate"_a, "sampling_threshold"_a, "subwords"_a, "min_char"_a, "max_char"_a,
            "buckets"_a, "seed"_a, "threads"_a, "rank"_a = 0, "instructions"_a = "",
            nb::keep_alive<1, 2>())
        .def("train", &Trainer::train, "words"_a, nb::call_guard<nb::gil_scoped_release>())
        .def("pause", &pause)
        .def("resume", &resume, "paused"_a)
        .def("check_finite", &Trainer::check_finite, nb::call_guard<nb::gil_scoped_release>())
        .def_prop_ro("total_words", &Trainer::total_words)
        .def_prop_ro("words_done", &Trainer::words_done)
        .def_prop_ro("progress", &Trainer::progress)
        .def_prop_ro("threads", &Trainer::threads)
        .def_prop_ro("alpha", &Trainer::learning_rate)
        .def_prop_ro("settings", &settings_of)
        .def_prop_ro("negative_table", &negative_table)
        .def_prop_ro("keep_probabilities",
                     [](nb::handle_t<Trainer> self) { return read_only(self, nb::cast<const Trainer&>(self).keep()); })
        .def_prop_ro("subword_starts",
                     [](nb::handle_t<Trainer> self) {
                         return read_only(self, nb::cast<const Trainer&>(self).subwords().starts());
                     })
        .def_prop_ro("subword_rows",
                     [](nb::handle_t<Trainer> self) {
                         return read_only(self, nb::cast<const Trainer&>(self).subwords().rows());
                     })
        .def_prop_ro("instructions", [](const Trainer& self) { return self.kernel().name; })
        .def_prop_ro("input",
                     [](nb::handle_t<Trainer> self) { return view(self, nb::cast<Trainer&>(self).input()); })
        .def_prop_ro("output",
                     [](nb::handle_t<Trainer> self) { return view(self, nb::cast<Trainer&>(self).output()); })
        .def_prop_ro("bucket_ids",
                     [](nb::handle_t<Trainer> self) {
                         return read_only(self, nb::cast<const Trainer&>(self).subwords().buckets());
                     })
        .def("word_vectors", &word_vectors, "rows"_a = nb::none())
        .def("write_text_vectors", &Trainer::write_text_vectors, "path"_a, nb::call_guard<nb::gil_scoped_release>());
}

Curvature curvature_of(const CurvatureArrays& arrays, std::size_t dim) {
    const auto& [directions, along, elsewhere] = arrays;
    if (directions.shape(1) != dim || directions.shape(0) != along.shape(0)) {
        throw nb::value_error("directions must be as many as the curvatures along them, each of the rows' length.");
    }
    return Curvature{directions.data(), along.data(), along.shape(0), elsewhere};
}

void take_changes(Replica& replica, std::size_t begin, std::size_t end, int hosts, Floats rates,
                  const CurvatureArrays& of_inputs, const CurvatureArrays& of_outputs) {
    if (begin > end || rates.shape(0) != 2 * (end - begin)) throw nb::value_error("rates must be two for each row.");
    const Curvature inputs = curvature_of(of_inputs, replica.dim());
    const Curvature outputs = curvature_of(of_outputs, replica.dim());
    const nb::gil_scoped_release released;
    replica.take(begin, end, hosts, rates.data(), inputs, outputs);
}

void bind_replica(nb::module_& module) {
    nb::class_<Replica>(module, "Replica")
        .def(nb::init<Trainer&>(), "trainer"_a, nb::keep_alive<1, 2>())
        .def_prop_ro("input", [](nb::handle_t<Replica> self) { return read_only(self, nb::cast<Replica&>(self).input()); })
        .def_prop_ro("output",
                     [](nb::handle_t<Replica> self) { return read_only(self, nb::cast<Replica&>(self).output()); })
        .def_prop_ro_static("ROWS", [](nb::handle) { return Replica::kRows; })
        .def(
            "tell",
            [](nb::handle_t<Replica> self, std::size_t begin, std::size_t end) {
                auto& replica = nb::cast<Replica&>(self);
                replica.tell(begin, end);
                return FloatMatrix(replica.changes(), {2 * (end - begin), replica.stride()}, self);
            },
            "begin"_a, "end"_a)
        .def("take", &take_changes, "begin"_a, "end"_a, "hosts"_a, "rates"_a, "of_inputs"_a, "of_outputs"_a);
}

}  // namespace

void bind_trainers(nb::module_& module) {
    bind_corpus(module);
    bind_trainer(module);
    bind_replica(module);
}

}  // namespace blazingtext
