#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace nereus {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
    static constexpr spdlog::level::level_enum kLevels[] = {
        spdlog::level::debug, spdlog::level::info, spdlog::level::warn, spdlog::level::err,
        spdlog::level::off};
    return kLevels[static_cast<int>(level)];
}

spdlog::logger& logger() {
    static std::shared_ptr<spdlog::logger> instance = [] {
        auto made = spdlog::stderr_logger_mt("nereus");
        made->set_pattern("nereus: %l: %v");
        made->set_level(spdlog::level::warn);
        return made;
    }();
    return *instance;
}

}  // namespace

void set_log_level(LogLevel level) { logger().set_level(to_spdlog(level)); }

void log_message(LogLevel level, std::string_view text) {
    logger().log(to_spdlog(level), spdlog::string_view_t(text.data(), text.size()));
}

}  // namespace nereus
