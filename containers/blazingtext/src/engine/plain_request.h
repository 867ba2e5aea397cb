// The usual request, read and answered without a detour through Python's objects.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "classifier.h"

namespace blazingtext {

// The texts of {"instances": ["...", ...]}, where they lie in the request. None where the request is anything else: where
// it has another entry or an escape, where it is not JSON or not UTF-8. What is none must be read by a whole parser.
std::optional<std::vector<std::string_view>> plain_texts(std::string_view request);

// [{"label": [...], "prob": [...]}, ...] as JSON; `labels` are JSON strings.
std::string as_json(const Predictions& predictions, const std::vector<std::string>& labels);

}  // namespace blazingtext
