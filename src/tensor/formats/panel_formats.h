#pragma once
// The panel formats behind the rows of the format table.

#include "tensor/panel.h"

namespace nereus {

extern const PanelFormat kQ8Panel;
extern const PanelFormat kQ4Panel;
extern const PanelFormat kQ2Panel;

void decode_q8(const StoredRow& row, int64_t n, float* out);
void decode_q4(const StoredRow& row, int64_t n, float* out);
void decode_q2(const StoredRow& row, int64_t n, float* out);

}  // namespace nereus
