# Flags of all our own code. -ffp-contract=off: a*b+c is fused only where the source says fma, so
# that every kernel table computes the same bits.
add_library(nereus_flags INTERFACE)
target_compile_options(nereus_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wold-style-cast -Wnon-virtual-dtor -ffp-contract=off)
if(NEREUS_WERROR)
  target_compile_options(nereus_flags INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(nereus_flags INTERFACE -Wno-gnu-statement-expression -Wno-sign-conversion)
endif()
if(NEREUS_SANITIZE)
  target_compile_options(nereus_flags INTERFACE -fsanitize=${NEREUS_SANITIZE}
    -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(nereus_flags INTERFACE -fsanitize=${NEREUS_SANITIZE})
endif()
if(NEREUS_FUZZ)
  target_compile_options(nereus_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
find_program(NEREUS_CCACHE ccache)
if(NEREUS_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${NEREUS_CCACHE})
endif()
