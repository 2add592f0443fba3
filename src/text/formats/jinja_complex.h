#pragma once
// Complex numbers as CPython computes and prints them: what a negative number to a broken power is.

#include <complex>
#include <string>
#include <string_view>

#include "base/result.h"

namespace nereus::jinja {

using Complex = std::complex<double>;

/// a + b, a - b, a * b, a / b, a ** b. errors: invalid_argument for the others, a division by zero
/// and powers beyond the largest number
Result<Complex> apply_complex(std::string_view operation, Complex a, Complex b);

/// repr(): "(1+2j)", "2j"
std::string complex_text(Complex number);

}  // namespace nereus::jinja
