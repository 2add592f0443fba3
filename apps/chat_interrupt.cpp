#include "apps/chat_interrupt.h"

namespace nereus {
namespace {

volatile std::sig_atomic_t interrupt_count = 0;

void on_interrupt(int) { interrupt_count = interrupt_count + 1; }

}  // namespace

InterruptWatch::InterruptWatch() {
    interrupt_count = 0;
    struct sigaction action = {};
    action.sa_handler = on_interrupt;
    ::sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    ::sigaction(SIGINT, &action, &saved_);
}

InterruptWatch::~InterruptWatch() { ::sigaction(SIGINT, &saved_, nullptr); }

int InterruptWatch::count() const { return interrupt_count; }

}  // namespace nereus
