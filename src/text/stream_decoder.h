#pragma once
// Tokens of a reply to text while they arrive: whole UTF-8 characters only, and nothing of a stop
// string. What might still become one of the two is held back.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace nereus {

inline constexpr size_t kMaxStopStrings = 64;
inline constexpr size_t kMaxStopBytes = 4096;  ///< of one stop string

/// The parts joined are the tokenizer's decode of all ids up to the first stop string, invalid
/// bytes as U+FFFD. Holds at most the longest stop string and an unfinished character.
class StreamDecoder {
  public:
    struct Options {
        std::vector<std::string> stop;  ///< the text ends before the first that occurs
        bool skip_control = true;       ///< as Tokenizer::decode
    };

    /// tokenizer outlives the decoder. errors: invalid_argument (too many, too long or empty stop
    /// strings)
    static Result<StreamDecoder> create(const Tokenizer& tokenizer, Options options);

    /// Text that is certain now; empty after a stop string.
    std::string feed(int32_t id);
    /// What was held back, at the end of the reply.
    std::string finish();

    /// A stop string occurred; stop_index says which (-1: none).
    bool stopped() const { return stop_index_ >= 0; }
    int stop_index() const { return stop_index_; }

  private:
    StreamDecoder(const Tokenizer& tokenizer, Options options);
    bool cut_at_stop();
    size_t certain_bytes() const;
    std::string release(size_t n);

    const Tokenizer* tokenizer_;
    Options options_;
    std::string held_;
    bool at_begin_ = true;
    int stop_index_ = -1;
};

}  // namespace nereus
