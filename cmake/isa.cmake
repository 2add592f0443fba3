# One object library a kernel table, each with its own instruction flags. Only these files may use
# them; cpu/isa.cpp picks a table by CPUID at start.
set(NEREUS_ISA_FLAGS_portable "")
set(NEREUS_ISA_FLAGS_avx2 -mavx2 -mfma -mf16c -mbmi2 -mpopcnt)
set(NEREUS_ISA_FLAGS_avx512 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512cd -mavx2 -mfma -mf16c -mbmi2 -mpopcnt)
set(NEREUS_ISA_FLAGS_avx_vnni ${NEREUS_ISA_FLAGS_avx2} -mavxvnni)
set(NEREUS_ISA_FLAGS_avx512_vbmi ${NEREUS_ISA_FLAGS_avx512} -mavx512vbmi)
set(NEREUS_ISA_FLAGS_avx512_vnni ${NEREUS_ISA_FLAGS_avx512} -mavx512vnni)
set(NEREUS_ISA_FLAGS_amx ${NEREUS_ISA_FLAGS_avx512_vnni} -mamx-tile -mamx-int8)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")  # GCC 12's own intrinsics leave a don't-care operand unset
  list(APPEND NEREUS_ISA_FLAGS_avx512 -Wno-uninitialized -Wno-maybe-uninitialized)
  list(APPEND NEREUS_ISA_FLAGS_avx512_vbmi -Wno-uninitialized -Wno-maybe-uninitialized)
  list(APPEND NEREUS_ISA_FLAGS_avx512_vnni -Wno-uninitialized -Wno-maybe-uninitialized)
  list(APPEND NEREUS_ISA_FLAGS_amx -Wno-uninitialized -Wno-maybe-uninitialized)
endif()

# The loops that measure instructions (src/compute/measure) need them too, whatever the tables use.
set(NEREUS_RATE_FLAGS_avx2 ${NEREUS_ISA_FLAGS_avx2})
set(NEREUS_RATE_FLAGS_avx512 ${NEREUS_ISA_FLAGS_avx512})
set(NEREUS_RATE_FLAGS_avx512_vnni ${NEREUS_ISA_FLAGS_avx512} -mavx512vnni)
set(NEREUS_RATE_FLAGS_avx512_bf16 ${NEREUS_ISA_FLAGS_avx512} -mavx512bf16)
set(NEREUS_RATE_FLAGS_amx ${NEREUS_ISA_FLAGS_avx2} -mamx-tile -mamx-int8 -mamx-bf16)
foreach(isa avx2 avx512 avx512_vnni avx512_bf16 amx)
  set_source_files_properties(src/compute/measure/rate_${isa}.cpp PROPERTIES
    COMPILE_OPTIONS "${NEREUS_RATE_FLAGS_${isa}};-O3")
endforeach()

function(nereus_kernels room)
  foreach(isa portable avx2 avx_vnni avx512 avx512_vbmi avx512_vnni amx)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${room}/cpu/${isa}/*.cpp)
    if(sources)
      add_library(nereus_kernels_${isa} OBJECT ${sources})
      target_include_directories(nereus_kernels_${isa} PRIVATE ${CMAKE_SOURCE_DIR}/src)
      target_compile_options(nereus_kernels_${isa} PRIVATE ${NEREUS_ISA_FLAGS_${isa}})
      # clang needs many minutes to instrument a wide table: files from strangers are checked without
      # it, the asan preset has it.
      if(NOT NEREUS_SANITIZE)
        target_compile_options(nereus_kernels_${isa} PRIVATE -O3)
      elseif(NEREUS_FUZZ AND NOT isa STREQUAL "portable")
        set_source_files_properties(${sources} PROPERTIES COMPILE_OPTIONS "-fno-sanitize=all")
      endif()
      target_link_libraries(nereus_kernels_${isa} PRIVATE nereus_flags fmt::fmt)
      target_sources(nereus_${room} PRIVATE $<TARGET_OBJECTS:nereus_kernels_${isa}>)
      list(APPEND objects $<TARGET_OBJECTS:nereus_kernels_${isa}>)
    endif()
  endforeach()
  if(objects AND NOT NEREUS_SANITIZE AND NOT NEREUS_FUZZ)
    add_test(NAME kernel_symbols COMMAND python3 ${CMAKE_SOURCE_DIR}/tools/check_kernel_symbols.py
      ${objects} COMMAND_EXPAND_LISTS)
  endif()
endfunction()
