// The Python module blazingtext._engine; its interface is described in _engine.pyi.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "files.h"
#include "kernel.h"
#include "matrix.h"
#include "module_answers.h"
#include "module_class.h"
#include "module_model.h"
#include "module_trainer.h"
#include "phrases.h"
#include "python_values.h"
#include "quantiser.h"
#include "subwords.h"
#include "vector_file.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace blazingtext {
namespace {

using FloatMatrix = nb::ndarray<nb::numpy, float, nb::ndim<2>>;
using AnyFloatMatrix = nb::ndarray<const float, nb::ndim<2>, nb::device::cpu>;
using AnyWritableMatrix = nb::ndarray<float, nb::ndim<2>, nb::device::cpu>;
using Rows = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

void copy_vectors(const VectorFile& file, AnyWritableMatrix matrix, Rows rows) {
    if (rows.shape(0) != file.size()) throw nb::value_error("rows must be as many as the file's words.");
    if (matrix.shape(1) != file.dim() || matrix.stride(1) != 1) {
        throw nb::value_error("the matrix must have contiguous rows of the file's dimension.");
    }
    const auto most = static_cast<std::int64_t>(matrix.shape(0));
    if (std::any_of(rows.data(), rows.data() + rows.shape(0), [&](std::int64_t row) { return row >= most; })) {
        throw nb::value_error("the matrix has not so many rows.");
    }
    const nb::gil_scoped_release released;
    file.copy(rows.data(), matrix.data(), matrix.stride(0));
}

std::vector<float*> copied_rows(const AnyFloatMatrix& from, Matrix& to) {
    std::vector<float*> rows;
    for (std::size_t i = 0; i < from.shape(0); ++i) {
        rows.push_back(to.row(i));
        for (std::size_t d = 0; d < from.shape(1); ++d) {
            to.row(i)[d] = from.data()[static_cast<std::int64_t>(i) * from.stride(0) +
                                       static_cast<std::int64_t>(d) * from.stride(1)];
        }
    }
    return rows;
}

FloatMatrix unpadded(const Matrix& matrix, std::size_t rows) {
    std::unique_ptr<float[]> values(new float[rows * matrix.dim()]);
    for (std::size_t i = 0; i < rows; ++i) std::copy_n(matrix.row(i), matrix.dim(), values.get() + i * matrix.dim());
    return owned(std::move(values), rows, matrix.dim());
}

nb::tuple update_batch(AnyFloatMatrix inputs, AnyFloatMatrix targets, float learning_rate,
                       const std::string& instructions) {
    if (inputs.shape(0) < 1 || inputs.shape(0) > kMostInputs) throw nb::value_error("inputs must be 1 to 32 rows.");
    if (targets.shape(0) < 1) throw nb::value_error("targets must be at least 1 row.");
    if (inputs.shape(1) < 1 || inputs.shape(1) != targets.shape(1)) {
        throw nb::value_error("inputs and targets must have rows of the same length.");
    }
    const Kernel& kernel = choose_kernel(instructions.c_str());
    Matrix x(inputs.shape(0), inputs.shape(1));
    Matrix y(targets.shape(0) + 1, targets.shape(1));
    const std::vector<float*> xs = copied_rows(inputs, x);
    std::vector<float*> ys = copied_rows(targets, y);
    const std::size_t count = ys.size();
    ys.resize((count + kTargetBlock - 1) / kTargetBlock * kTargetBlock, y.row(count));
    Matrix weights(1, xs.size() * ys.size());
    Matrix scratch(1, weights.dim() + kMostInputs);
    std::vector<TargetBlock> blocks;
    float* weight = weights.row(0);
    for (std::size_t t = 0; t < ys.size(); t += kTargetBlock) {
        blocks.push_back(TargetBlock{{ys[t], ys[t + 1], ys[t + 2], ys[t + 3]}, 0, xs.size()});
        for (std::size_t i = 0; i < xs.size(); ++i) {
            for (std::size_t k = t; k < t + kTargetBlock; ++k, ++weight) {
                *weight = k == 0 ? learning_rate : k < count ? -learning_rate : 0.0f;
            }
        }
    }
    RowsToFetch to_fetch{nullptr, 0, 0};
    const bool finite =
        xs.size() == 1
            ? kernel.update_one(xs[0], ys.data(), ys.size(), x.dim(), weights.row(0), scratch.row(0))
            : kernel.update(xs.data(), xs.size(), blocks.data(), blocks.size(), x.dim(), weights.row(0), scratch.row(0),
                            to_fetch);
    if (!finite) throw std::domain_error("a product of the rows is not finite.");
    return nb::make_tuple(unpadded(x, xs.size()), unpadded(y, count));
}

nb::tuple joined_phrases(const std::vector<std::string>& paths, const std::string& output, int passes, double threshold,
                         std::int64_t min_count, const std::string& delimiter, int threads) {
    PhraseCounts counts;
    {
        const nb::gil_scoped_release released;
        counts = join_phrases(paths, output, PhraseSettings{passes, threshold, min_count, delimiter, threads});
    }
    return nb::make_tuple(counts.tokens_read, counts.tokens_written, counts.kinds);
}

nb::tuple quantised(AnyFloatMatrix matrix, std::size_t block, std::uint64_t seed, int threads) {
    Quantised result;
    {
        const nb::gil_scoped_release released;
        result = quantise(RowsView{matrix.data(), matrix.shape(0), matrix.shape(1), matrix.stride(0), matrix.stride(1)},
                          block, seed, threads);
    }
    const std::size_t rows = matrix.shape(0);
    const std::size_t centroids = result.centroids.size();
    const std::size_t blocks = result.codes.size() / rows;
    return nb::make_tuple(array_of(std::move(result.centroids), {centroids}),
                          array_of(std::move(result.codes), {rows, blocks}),
                          array_of(std::move(result.length_centroids), {Quantised::kCentroids}),
                          array_of(std::move(result.length_codes), {rows}));
}

nb::list usable_instructions() {
    nb::list names;
    for (const Kernel* const* kernel = usable_kernels(); *kernel != nullptr; ++kernel) {
        names.append(nb::str((*kernel)->name));
    }
    return names;
}

void translate_exceptions() {
    nb::register_exception_translator([](const std::exception_ptr& exception, void*) {
        try {
            std::rethrow_exception(exception);
        } catch (const FileError& error) {
            errno = error.number;
            PyErr_SetFromErrnoWithFilename(PyExc_OSError, error.path.c_str());
        } catch (const std::domain_error& error) {
            PyErr_SetString(PyExc_FloatingPointError, error.what());
        }
    });
}

void bind_vector_file(nb::module_& module) {
    nb::class_<VectorFile>(module, "VectorFile")
        .def(nb::init<std::string, int>(), "path"_a, "threads"_a, nb::call_guard<nb::gil_scoped_release>())
        .def_prop_ro("dim", &VectorFile::dim)
        .def_prop_ro("skipped", &VectorFile::skipped)
        .def_prop_ro("words", &list_of<VectorFile>)
        .def("copy", &copy_vectors, "matrix"_a, "rows"_a);
}

}  // namespace

NB_MODULE(_engine, module) {
    translate_exceptions();
    bind_trainers(module);
    bind_classes(module);
    bind_vector_file(module);
    bind_model(module);
    bind_answers(module);
    module.def("join_phrases", &joined_phrases, "paths"_a, "output"_a, nb::kw_only(), "passes"_a, "threshold"_a,
               "min_count"_a, "delimiter"_a, "threads"_a);
    module.def("quantise", &quantised, "matrix"_a, "block"_a, "seed"_a, "threads"_a);
    module.def("subword_buckets", &subword_buckets, "word"_a, "min_char"_a, "max_char"_a, "buckets"_a);
    module.def("update_batch", &update_batch, "inputs"_a, "targets"_a, "learning_rate"_a, "instructions"_a = "");
    module.def("usable_instructions", &usable_instructions);
}

}  // namespace blazingtext
