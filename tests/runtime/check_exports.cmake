# Fails unless LIBRARY exports exactly the symbols that EXPORTS (a version script) lists.
# Use: cmake -DNM=.. -DLIBRARY=.. -DEXPORTS=.. -P check_exports.cmake
execute_process(COMMAND ${NM} -D --defined-only --format=just-symbols ${LIBRARY}
  OUTPUT_VARIABLE found RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "cannot read ${LIBRARY}")
endif()
string(REGEX MATCHALL "[^\n]+" found "${found}")
file(STRINGS ${EXPORTS} lines REGEX "^    [a-z_]+;$")
set(expected)
foreach(line IN LISTS lines)
  string(REGEX REPLACE "[^a-z_]" "" symbol "${line}")
  list(APPEND expected ${symbol})
endforeach()
list(SORT found)
list(SORT expected)
if(NOT found STREQUAL expected)
  message(FATAL_ERROR "expected exports: ${expected}\nfound: ${found}")
endif()
