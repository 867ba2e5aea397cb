// Values that the Python module takes and gives.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace blazingtext {

inline std::string_view text_of(nanobind::handle object) {
    Py_ssize_t size = 0;
    const char* text = PyUnicode_AsUTF8AndSize(object.ptr(), &size);
    if (text == nullptr) throw nanobind::python_error();
    return std::string_view(text, static_cast<std::size_t>(size));
}

// Texts that live as long as `texts`: a tuple, because a list might change meanwhile.
inline std::vector<std::string_view> texts_of(const nanobind::tuple& texts) {
    std::vector<std::string_view> found;
    found.reserve(texts.size());
    for (const nanobind::handle text : texts) found.push_back(text_of(text));
    return found;
}

// An array that owns its values.
template <typename Value>
nanobind::ndarray<nanobind::numpy, Value> array_of(std::vector<Value> values,
                                                    std::initializer_list<std::size_t> shape) {
    auto* const held = new std::vector<Value>(std::move(values));
    nanobind::capsule owner(held, [](void* memory) noexcept { delete static_cast<std::vector<Value>*>(memory); });
    return nanobind::ndarray<nanobind::numpy, Value>(held->data(), shape, owner);
}

// An array that owns its memory.
template <typename Number, typename... Sizes>
auto owned(std::unique_ptr<Number[]> data, Sizes... sizes) {
    Number* const values = data.release();
    nanobind::capsule owner(values, [](void* memory) noexcept { delete[] static_cast<Number*>(memory); });
    return nanobind::ndarray<nanobind::numpy, Number, nanobind::ndim<sizeof...(Sizes)>>(values, {sizes...}, owner);
}

// A list of the words of a vocabulary or of a file of vectors.
template <typename Words>
nanobind::list list_of(const Words& words) {
    nanobind::list list;
    for (std::size_t id = 0; id < words.size(); ++id) {
        const std::string_view word = words.word(id);
        list.append(nanobind::str(word.data(), word.size()));
    }
    return list;
}

}  // namespace blazingtext
