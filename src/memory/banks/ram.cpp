// The bank whose experts are all in memory.

#include "base/check.h"
#include "memory/expert_bank.h"

namespace nereus {
namespace {

class RamBank final : public ExpertBank {
  public:
    explicit RamBank(ExpertTable experts) : experts_(std::move(experts)) {}

    void request(int64_t layer, std::span<const int32_t> ids) override {
        const auto& of_layer = experts_[static_cast<size_t>(layer)];
        ready_.clear();
        for (const int32_t id : ids) {
            NEREUS_CHECK(id >= 0 && static_cast<size_t>(id) < of_layer.size());
            ready_.push_back({ready_.size(), of_layer[static_cast<size_t>(id)]});
        }
        n_hits_ += static_cast<int64_t>(ids.size());
        is_taken_ = false;
    }

    Result<std::span<const ReadyExpert>> next() override {
        if (std::exchange(is_taken_, true)) {
            return std::span<const ReadyExpert>();
        }
        return std::span<const ReadyExpert>(ready_);
    }

    ExpertBankStats stats() const override { return {.n_hits = n_hits_}; }

  private:
    ExpertTable experts_;
    std::vector<ReadyExpert> ready_;
    int64_t n_hits_ = 0;
    bool is_taken_ = true;
};

}  // namespace

std::unique_ptr<ExpertBank> create_ram_bank(ExpertTable experts) {
    return std::make_unique<RamBank>(std::move(experts));
}

}  // namespace nereus
