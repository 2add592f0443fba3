// config.json from arbitrary bytes: a clear error or a config whose numbers are in range.

#include "base/check.h"
#include "base/json.h"
#include "model/blocks/rope_table.h"
#include "model/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace nereus;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto json = parse_json(text, "fuzz");
    if (!json.ok()) {
        NEREUS_CHECK(!json.error().message.empty());
        return 0;
    }
    const auto config = config_from_json(*json, "fuzz");
    if (!config.ok()) {
        NEREUS_CHECK(!config.error().message.empty());
        return 0;
    }
    NEREUS_CHECK(config->hidden_size > 0);
    NEREUS_CHECK(static_cast<int64_t>(config->layers.size()) == config->num_hidden_layers);
    const int64_t width = config->kv_lora_rank > 0 ? config->qk_rope_head_dim : config->head_dim;
    NEREUS_CHECK(static_cast<int64_t>(rope_frequencies(*config, width).size()) == width / 2);
    return 0;
}
