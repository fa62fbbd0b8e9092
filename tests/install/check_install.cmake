# Installs the runtime into a prefix with a space, then builds and runs a consumer against it.
# Use: cmake -DBUILD=.. -DWORK=.. -DCOMPILER=.. -P check_install.cmake
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output
    ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${ARGN}\n${output}")
  endif()
endfunction()

set(prefix "${WORK}/a prefix")
file(REMOVE_RECURSE "${WORK}")
run(${CMAKE_COMMAND} --install ${BUILD}/runtime --prefix "${prefix}")
run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR} -B "${WORK}/cmake" "-DCMAKE_PREFIX_PATH=${prefix}"
  -DCMAKE_C_COMPILER=${COMPILER})
run(${CMAKE_COMMAND} --build "${WORK}/cmake")
run("${WORK}/cmake/consumer")

find_program(PKG_CONFIG pkg-config)
if(PKG_CONFIG)
  file(GLOB pc "${prefix}/lib*/pkgconfig" "${prefix}/lib/*/pkgconfig")
  set(ENV{PKG_CONFIG_PATH} "${pc}")
  run(${PKG_CONFIG} --exists --print-errors tern)
  run(sh -c "eval '${COMPILER}' '${CMAKE_CURRENT_LIST_DIR}/consumer.c' -o '\"${WORK}/plain\"' $(${PKG_CONFIG} --cflags --libs tern)")
  file(GLOB library "${prefix}/lib*/libtern.so" "${prefix}/lib/*/libtern.so")
  get_filename_component(folder "${library}" DIRECTORY)
  set(ENV{LD_LIBRARY_PATH} "${folder}")
  run("${WORK}/plain")
endif()
