#include "weights/files/fp8_scales.h"

#include <cstdint>
#include <unordered_map>

#include "base/json.h"
#include "base/units.h"
#include "weights/files/printable.h"

namespace nereus {
namespace {

constexpr std::string_view kSuffix = "_scale_inv";
constexpr int64_t kBlock = 128;

bool is_scale(const StoredTensor& tensor) { return tensor.name.ends_with(kSuffix); }

template <typename... Args>
Error tensor_error(const StoredTensor& tensor, ErrorCode code, fmt::format_string<Args...> format,
                   Args&&... args) {
    return make_error(code, "{}: tensor {}: {}", tensor.file, printable(tensor.name),
                      fmt::format(format, std::forward<Args>(args)...));
}

/// The scales as aligned floats. F32 on a 4-byte boundary (every published file) stays where it is:
/// V3's scales are 164 MB that need not be read at open.
const float* as_floats(const StoredTensor& scales, std::vector<std::unique_ptr<float[]>>& owned) {
    if (scales.format == FormatId::kF32 &&
        reinterpret_cast<uintptr_t>(scales.data.data()) % alignof(float) == 0) {
        return reinterpret_cast<const float*>(scales.data.data());
    }
    const int64_t n = scales.shape.n_elements();
    owned.push_back(std::make_unique<float[]>(static_cast<size_t>(n)));
    format_of(scales.format).decode_row({scales.data.data(), nullptr}, n, owned.back().get());
    return owned.back().get();
}

Status check_pair(const StoredTensor& weight, const StoredTensor& scales) {
    if (weight.format != FormatId::kF8E4m3) {
        return tensor_error(scales, ErrorCode::kUnsupported,
                            "scales are read for F8_E4M3 weights; {} is {}", printable(weight.name),
                            format_of(weight.format).name);
    }
    if (weight.shape.rank() != 2) {
        return tensor_error(weight, ErrorCode::kUnsupported,
                            "expected a matrix beside {}, found shape {}", printable(scales.name),
                            weight.shape.to_string());
    }
    if (scales.format != FormatId::kF32 && scales.format != FormatId::kBf16) {
        return tensor_error(scales, ErrorCode::kUnsupported, "expected F32 or BF16, found {}",
                            format_of(scales.format).name);
    }
    const Shape expected{{ceil_div(weight.shape[0], kBlock), ceil_div(weight.shape[1], kBlock)}};
    if (scales.shape != expected) {
        return tensor_error(scales, ErrorCode::kCorrupt,
                            "expected shape {} for 128 x 128 blocks of {} {}, found {}",
                            expected.to_string(), printable(weight.name), weight.shape.to_string(),
                            scales.shape.to_string());
    }
    return {};
}

bool is_block_128(const Json& size) {
    return size.is_array() && size.size() == 2 && size[0] == kBlock && size[1] == kBlock;
}

}  // namespace

Result<bool> check_quantization_config(const Json& config, std::string_view file) {
    const auto place = config.find("quantization_config");
    if (place == config.end() || place->is_null()) {
        return false;
    }
    if (!place->is_object()) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: quantization_config: expected an object, found {}", file,
                          printable(dump_json(*place)));
    }
    const auto method = place->find("quant_method");
    if (method == place->end() || *method != "fp8") {
        return make_error(
            ErrorCode::kUnsupported,
            "{}: quantization_config.quant_method: expected \"fp8\", found {}; use the "
            "original or a GGUF of this model",
            file, method == place->end() ? "none" : printable(dump_json(*method)));
    }
    const auto format = place->find("fmt");
    if (format != place->end() && *format != "e4m3") {
        return make_error(ErrorCode::kUnsupported,
                          "{}: quantization_config.fmt: expected \"e4m3\", found {}", file,
                          printable(dump_json(*format)));
    }
    const auto size = place->find("weight_block_size");
    if (size == place->end() || !is_block_128(*size)) {
        return make_error(
            ErrorCode::kUnsupported,
            "{}: quantization_config.weight_block_size: expected [128, 128], found {}", file,
            size == place->end() ? "none" : printable(dump_json(*size)));
    }
    return true;
}

Status attach_fp8_scales(std::vector<StoredTensor>& tensors, bool scales_required,
                         std::vector<std::unique_ptr<float[]>>& owned) {
    std::unordered_map<std::string_view, StoredTensor*> weights;
    for (StoredTensor& tensor : tensors) {
        if (!is_scale(tensor)) {
            weights.emplace(tensor.name, &tensor);
        }
    }
    for (const StoredTensor& scales : tensors) {
        if (!is_scale(scales)) {
            continue;
        }
        const auto place = weights.find(
            std::string_view(scales.name).substr(0, scales.name.size() - kSuffix.size()));
        if (place == weights.end()) {
            return tensor_error(scales, ErrorCode::kCorrupt,
                                "there is no weight beside these scales");
        }
        StoredTensor& weight = *place->second;
        if (weight.scales != nullptr) {
            return tensor_error(scales, ErrorCode::kCorrupt, "is there twice");
        }
        NEREUS_TRY(check_pair(weight, scales));
        weight.format = FormatId::kFp8Block128;
        weight.scales = as_floats(scales, owned);
        if (static_cast<const void*>(weight.scales) == scales.data.data()) {
            weight.scales_file = scales.file;
            weight.scales_offset = scales.offset;
        }
    }
    weights.clear();
    std::erase_if(tensors, is_scale);
    for (const StoredTensor& tensor : tensors) {
        if (scales_required && tensor.format == FormatId::kF8E4m3) {
            return tensor_error(tensor, ErrorCode::kCorrupt,
                                "is F8_E4M3 in a block-quantised model, but {}{} is missing",
                                printable(tensor.name), kSuffix);
        }
    }
    return {};
}

}  // namespace nereus
