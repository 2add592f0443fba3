// The bank whose experts are all in memory.

#include "base/check.h"
#include "memory/expert_bank.h"

namespace nereus {
namespace {

class RamBank final : public ExpertBank {
  public:
    explicit RamBank(std::vector<std::vector<ExpertWeights>> experts)
        : experts_(std::move(experts)) {}

    Status acquire(int64_t layer, std::span<const int32_t> ids,
                   std::vector<ExpertWeights>& out) override {
        const auto& of_layer = experts_[static_cast<size_t>(layer)];
        out.clear();
        for (const int32_t id : ids) {
            NEREUS_CHECK(id >= 0 && static_cast<size_t>(id) < of_layer.size());
            out.push_back(of_layer[static_cast<size_t>(id)]);
        }
        return {};
    }

    void release(int64_t) override {}

  private:
    std::vector<std::vector<ExpertWeights>> experts_;
};

}  // namespace

std::unique_ptr<ExpertBank> create_ram_bank(std::vector<std::vector<ExpertWeights>> experts) {
    return std::make_unique<RamBank>(std::move(experts));
}

}  // namespace nereus
