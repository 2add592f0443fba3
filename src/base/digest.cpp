#include "base/digest.h"

#include <xxhash.h>

#include "base/check.h"

namespace nereus {

struct Digest::State {
    XXH3_state_t* xxh = XXH3_createState();

    State() {
        NEREUS_CHECK(xxh != nullptr);
        NEREUS_CHECK(XXH3_64bits_reset(xxh) == XXH_OK);
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { XXH3_freeState(xxh); }
};

Digest::Digest() : state_(std::make_unique<State>()) {}
Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;
Digest::~Digest() = default;

Digest& Digest::add(std::span<const std::byte> bytes) {
    NEREUS_CHECK(XXH3_64bits_update(state_->xxh, bytes.data(), bytes.size()) == XXH_OK);
    return *this;
}

Digest& Digest::add_text(std::string_view text) {
    const uint64_t size = text.size();
    add({reinterpret_cast<const std::byte*>(&size), sizeof(size)});
    return add({reinterpret_cast<const std::byte*>(text.data()), text.size()});
}

uint64_t Digest::value() const { return XXH3_64bits_digest(state_->xxh); }

uint64_t digest_of(std::span<const std::byte> bytes) { return Digest().add(bytes).value(); }

uint64_t digest_of(std::string_view text) {
    return digest_of({reinterpret_cast<const std::byte*>(text.data()), text.size()});
}

}  // namespace nereus
