#include "terminal/line_editor.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/unicode.h"
#include "terminal/editor/edit_machine.h"
#include "terminal/editor/history.h"
#include "terminal/editor/keys.h"
#include "terminal/editor/screen.h"
#include "terminal/key_mode.h"

namespace nereus {
namespace {

constexpr std::string_view kPasteModeOn = "\x1b[?2004h";
constexpr std::string_view kPasteModeOff = "\x1b[?2004l";
/// How often the window's size is looked at while nobody types.
constexpr int kResizePollMs = 200;
/// A key's bytes arrive together; what is alone for longer is a lone Escape.
constexpr int kEscapeWaitMs = 50;

Error terminal_error(const char* doing) {
    return make_error(ErrorCode::kIo, "terminal: cannot {}: {}", doing, std::strerror(errno));
}

Status write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t put = ::write(fd, bytes.data(), bytes.size());
        if (put < 0 && errno != EINTR && errno != EAGAIN) {
            return terminal_error("write");
        }
        bytes.remove_prefix(put > 0 ? static_cast<size_t>(put) : 0);
    }
    return {};
}

class ScreenEditor final : public LineEditor {
  public:
    explicit ScreenEditor(LineEditorOptions options)
        : options_(std::move(options)),
          history_(options_.history_path, options_.history_entries_max),
          machine_(history_.entries(), options_.complete),
          hold_(options_.input_fd, KeyMode::kWaiting, options_.output_fd) {
        warn(history_.load());
        machine_.clear();
    }

    ~ScreenEditor() override {
        static_cast<void>(write_all(options_.output_fd, kPasteModeOff).ok());
    }

    Result<LineRead> read(std::string_view prompt) override {
        const KeyModeHold editing(options_.input_fd, KeyMode::kEditing);
        prompt_ = prompt;
        machine_.clear();
        screen_.forget();
        NEREUS_TRY(write_all(options_.output_fd, kPasteModeOn));
        Result<LineRead> read = edit();
        // The paste mode stays on: what is pasted while an answer streams is one paste too.
        NEREUS_TRY(write_all(options_.output_fd, screen_.leave()));
        if (read.ok() && read->outcome == LineOutcome::kLine) {
            warn(history_.add(read->text));
        }
        return read;
    }

    void collect() override {
        while (keys_.n_held() < kLineBytesMax && input_is_there()) {
            char bytes[4096];
            const ssize_t got = ::read(options_.input_fd, bytes, sizeof(bytes));
            if (got <= 0) {
                return;  // the next read() meets the same and says so
            }
            keys_.feed({bytes, static_cast<size_t>(got)});
        }
    }

    std::string take_warning() override { return std::exchange(warning_, {}); }

  private:
    bool input_is_there() const {
        pollfd waiting = {.fd = options_.input_fd, .events = POLLIN, .revents = 0};
        return ::poll(&waiting, 1, 0) == 1 && (waiting.revents & POLLIN) != 0;
    }

    void warn(const Status& status) {
        if (!status.ok() && !warned_) {
            warning_ = status.error().message;
            warned_ = true;
        }
    }

    /// done: the reading ends, so what only helps while typing disappears.
    Status redraw(bool done = false) {
        traits_ = traits_of(options_.output_fd, options_.wishes);
        EditView view;
        view.prompt = prompt_;
        view.text = machine_.text();
        view.cursor = machine_.cursor();
        view.placeholder = done ? std::string_view() : options_.placeholder;
        std::string line;
        for (const std::string& word : machine_.candidates()) {
            line += word + "  ";
        }
        line = done ? "" : wrapped(line, traits_);
        for (size_t begin = 0; begin < line.size();) {
            const size_t end = std::min(line.find('\n', begin), line.size());
            view.below.push_back(line.substr(begin, end - begin));
            begin = end + 1;
        }
        return write_all(options_.output_fd, screen_.draw(view, traits_));
    }

    Result<LineRead> edit() {
        for (;;) {
            // All keys that are here already, then one drawing: a paste costs one redraw.
            while (const auto press = keys_.next()) {
                switch (machine_.apply(*press)) {
                    case EditResult::kSubmit:
                        NEREUS_TRY(redraw(true));
                        return LineRead{LineOutcome::kLine, machine_.submission()};
                    case EditResult::kInterrupt:
                        NEREUS_TRY(redraw(true));
                        return LineRead{LineOutcome::kInterrupt, ""};
                    case EditResult::kEnd:
                        NEREUS_TRY(redraw(true));
                        return LineRead{LineOutcome::kEnd, ""};
                    case EditResult::kClearScreen:
                        screen_.forget();
                        NEREUS_TRY(write_all(options_.output_fd, "\x1b[H\x1b[2J"));
                        break;
                    case EditResult::kSuspend:
                        NEREUS_TRY(suspend());
                        break;
                    case EditResult::kCleared:
                    case EditResult::kContinue:
                        break;
                }
            }
            NEREUS_TRY(redraw());
            if (!NEREUS_TRY(wait_for_bytes())) {
                return LineRead{LineOutcome::kEnd, ""};
            }
        }
    }

    Status suspend() {
        NEREUS_TRY(redraw());
        NEREUS_TRY(write_all(options_.output_fd, screen_.leave()));
        suspend_for_shell();
        return write_all(options_.output_fd, kPasteModeOn);
    }

    /// Waits for input, redrawing when the window changes. False at the end of the input.
    Result<bool> wait_for_bytes() {
        for (;;) {
            pollfd waiting = {.fd = options_.input_fd, .events = POLLIN, .revents = 0};
            const int ready = ::poll(&waiting, 1, keys_.waiting() ? kEscapeWaitMs : kResizePollMs);
            if (ready < 0 && errno != EINTR) {
                return terminal_error("wait for input");
            }
            if (ready > 0) {
                char bytes[4096];
                const ssize_t got = ::read(options_.input_fd, bytes, sizeof(bytes));
                if (got > 0) {
                    keys_.feed({bytes, static_cast<size_t>(got)});
                    return true;
                }
                if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
                    return false;
                }
                continue;
            }
            keys_.give_up();
            const TerminalTraits now = traits_of(options_.output_fd, options_.wishes);
            if (now.columns != traits_.columns || now.rows != traits_.rows) {
                NEREUS_TRY(redraw());
            }
        }
    }

    LineEditorOptions options_;
    History history_;
    EditMachine machine_;
    EditScreen screen_;
    KeyParser keys_;
    TerminalTraits traits_;
    std::string prompt_;
    std::string warning_;
    bool warned_ = false;
    KeyModeHold hold_;
};

/// Lines of a pipe, or of a terminal that cannot move its cursor (then with the prompt).
class PlainReader final : public LineEditor {
  public:
    explicit PlainReader(LineEditorOptions options)
        : options_(std::move(options)), hold_(options_.input_fd, KeyMode::kUnseen) {}

    Result<LineRead> read(std::string_view prompt) override {
        const KeyModeHold lines(options_.input_fd, KeyMode::kLines);
        if (::isatty(options_.input_fd) == 1) {
            NEREUS_TRY(write_all(options_.output_fd, prompt));
        }
        std::string text;
        for (;;) {
            const std::optional<std::string> line = NEREUS_TRY(read_line());
            if (!line.has_value()) {
                return text.empty() ? LineRead{LineOutcome::kEnd, ""}
                                    : LineRead{LineOutcome::kLine, text};
            }
            text += *line;
            const std::vector<std::string> none;
            EditMachine machine(none, {});
            machine.apply({Key::kPaste, text});
            if (machine.apply({Key::kEnter}) == EditResult::kSubmit) {
                return LineRead{LineOutcome::kLine, machine.submission()};
            }
            text = machine.text();
        }
    }

    /// The kernel keeps whole lines, and a plain reader has no more to offer.
    void collect() override {}

    std::string take_warning() override { return {}; }

  private:
    /// Without its newline; nullopt at the end of the input. errors: io; unsupported (too long)
    Result<std::optional<std::string>> read_line() {
        for (;;) {
            const size_t end = held_.find('\n');
            if (end != std::string::npos) {
                std::string line = held_.substr(0, end);
                held_.erase(0, end + 1);
                return std::optional(replace_invalid_utf8(line));
            }
            if (held_.size() > kLineBytesMax) {
                return make_error(ErrorCode::kUnsupported,
                                  "a line of input is longer than {} bytes", kLineBytesMax);
            }
            char bytes[4096];
            const ssize_t got = ::read(options_.input_fd, bytes, sizeof(bytes));
            if (got < 0 && errno == EINTR) {
                return std::optional<std::string>();
            }
            if (got < 0) {
                return terminal_error("read");
            }
            if (got == 0) {
                return held_.empty() ? std::optional<std::string>()
                                     : std::optional(std::exchange(held_, {}));
            }
            held_.append(bytes, static_cast<size_t>(got));
        }
    }

    LineEditorOptions options_;
    std::string held_;
    KeyModeHold hold_;
};

}  // namespace

bool LineEditor::can_edit(const TerminalWishes& wishes) {
    return !wishes.term.empty() && wishes.term != "dumb";
}

std::unique_ptr<LineEditor> LineEditor::create(LineEditorOptions options) {
    if (!can_edit(options.wishes) || ::isatty(options.input_fd) != 1 ||
        ::isatty(options.output_fd) != 1) {
        return std::make_unique<PlainReader>(std::move(options));
    }
    return std::make_unique<ScreenEditor>(std::move(options));
}

}  // namespace nereus
