#include "text/formats/jinja_complex.h"

#include <cmath>

#include "text/formats/python_json.h"

namespace nereus::jinja {
namespace {

/// Not std::complex's own, which treats numbers that are not finite in another way.
Complex product(Complex a, Complex b) {
    return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

Error division_by_zero() { return make_error(ErrorCode::kInvalidArgument, "division by zero"); }

/// By the larger part of the divisor, so that nothing overflows on the way.
Result<Complex> quotient(Complex a, Complex b) {
    if (std::abs(b.real()) >= std::abs(b.imag())) {
        if (b.real() == 0) {
            return division_by_zero();
        }
        const double ratio = b.imag() / b.real();
        const double divisor = b.real() + b.imag() * ratio;
        return Complex((a.real() + a.imag() * ratio) / divisor,
                       (a.imag() - a.real() * ratio) / divisor);
    }
    const double ratio = b.real() / b.imag();
    const double divisor = b.real() * ratio + b.imag();
    return Complex((a.real() * ratio + a.imag()) / divisor,
                   (a.imag() * ratio - a.real()) / divisor);
}

/// Powers by small whole numbers: squares, multiplied.
Result<Complex> whole_power(Complex a, int n) {
    Complex result = 1;
    for (int rest = std::abs(n); rest > 0; rest >>= 1) {
        result = (rest & 1) != 0 ? product(result, a) : result;
        a = product(a, a);
    }
    return n > 0 ? Result<Complex>(result) : quotient(1, result);
}

Result<Complex> power(Complex a, Complex b) {
    constexpr double kSmall = 100;
    if (b.imag() == 0 && b.real() == std::floor(b.real()) && std::abs(b.real()) <= kSmall) {
        return whole_power(a, static_cast<int>(b.real()));
    }
    if (a == Complex(0)) {
        return b.real() < 0 || b.imag() != 0 ? Result<Complex>(division_by_zero()) : Complex(0);
    }
    const double size = std::hypot(a.real(), a.imag());
    const double angle = std::atan2(a.imag(), a.real());
    double length = std::pow(size, b.real());
    double phase = angle * b.real();
    if (b.imag() != 0) {
        length *= std::exp(-angle * b.imag());
        phase += b.imag() * std::log(size);
    }
    return Complex(length * std::cos(phase), length * std::sin(phase));
}

/// python_float without the ".0": 1, 2.5, 1e+16, inf.
std::string plain(double value) {
    std::string text = python_float(value);
    return text.ends_with(".0") ? text.substr(0, text.size() - 2) : text;
}

}  // namespace

Result<Complex> apply_complex(std::string_view operation, Complex a, Complex b) {
    if (operation == "+" || operation == "-") {
        return operation == "+" ? a + b : a - b;
    }
    if (operation == "*") {
        return product(a, b);
    }
    if (operation == "/") {
        return quotient(a, b);
    }
    if (operation != "**") {
        return make_error(ErrorCode::kInvalidArgument, "'{}' does not work on complex numbers",
                          operation);
    }
    const Complex result = NEREUS_TRY(power(a, b));
    if (std::isinf(result.real()) || std::isinf(result.imag())) {
        return make_error(ErrorCode::kInvalidArgument, "a power beyond the largest number");
    }
    return result;
}

std::string complex_text(Complex number) {
    const std::string imaginary = plain(number.imag()) + "j";
    if (number.real() == 0 && !std::signbit(number.real())) {
        return imaginary;
    }
    const bool has_sign = imaginary.starts_with('-');
    return "(" + plain(number.real()) + (has_sign ? "" : "+") + imaginary + ")";
}

}  // namespace nereus::jinja
