// The process: arguments in, exit code out; the last place where an exception can stop.

#include <new>

#include "apps/program.h"

int main(int argc, char** argv) {
    try {
        return nereus::run_program({argv + 1, argv + argc});
    } catch (const std::bad_alloc&) {
        nereus::print_error({nereus::ErrorCode::kOutOfMemory, "out of memory"});
        return nereus::kExitLimit;
    } catch (const std::exception& error) {
        nereus::print_error({nereus::ErrorCode::kInvalidArgument, error.what()});
        return nereus::kExitFailure;
    }
}
