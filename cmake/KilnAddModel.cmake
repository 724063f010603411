# SPDX-License-Identifier: Apache-2.0
# kiln_add_model: a library target from an ONNX model. Described in docs/cmake.md.
include_guard(GLOBAL)

# Policies as of this version, whatever the calling project asks for; CMP0116 decides how a DEPFILE is read.
cmake_policy(PUSH)
cmake_policy(VERSION 3.21...3.25)

set(KILN_EXECUTABLE "" CACHE FILEPATH "The kiln program that kiln_add_model runs; empty: that of the package or of this build")

# What runs the compiler, and what to rebuild the bundle for when it changes.
function(_kiln_tool COMMAND_VARIABLE DEPENDS_VARIABLE)
  if(KILN_EXECUTABLE)
    if(NOT EXISTS "${KILN_EXECUTABLE}")
      message(FATAL_ERROR "kiln_add_model: KILN_EXECUTABLE is '${KILN_EXECUTABLE}', there is no such file.")
    endif()
    set(${COMMAND_VARIABLE} "${KILN_EXECUTABLE}" PARENT_SCOPE)
    set(${DEPENDS_VARIABLE} "${KILN_EXECUTABLE}" PARENT_SCOPE)
    return()
  endif()
  if(NOT TARGET kiln::kiln)
    message(FATAL_ERROR "kiln_add_model: the compiler is missing; use find_package(kiln), add_subdirectory() of kiln's source, "
                        "or -DKILN_EXECUTABLE=/path/to/kiln.")
  endif()
  get_target_property(imported kiln::kiln IMPORTED)
  if(CMAKE_CROSSCOMPILING AND NOT imported)
    message(FATAL_ERROR "kiln_add_model: kiln would be built for ${CMAKE_SYSTEM_NAME} and could not run here. Build it for this machine "
                        "first, then use find_package(kiln) or -DKILN_EXECUTABLE=/path/to/kiln.")
  endif()
  set(${COMMAND_VARIABLE} "$<TARGET_FILE:kiln::kiln>" PARENT_SCOPE)
  set(${DEPENDS_VARIABLE} kiln::kiln PARENT_SCOPE)
endfunction()

# The targets of kiln, as `kiln targets` lists them; empty where kiln is not built yet.
function(_kiln_known_targets VARIABLE)
  set(program "${KILN_EXECUTABLE}")
  if(NOT program AND TARGET kiln::kiln)
    get_target_property(imported kiln::kiln IMPORTED)
    if(imported)
      get_target_property(program kiln::kiln LOCATION)
    endif()
  endif()
  set(names "")
  if(EXISTS "${program}")
    execute_process(COMMAND "${program}" targets OUTPUT_VARIABLE table ERROR_QUIET)
    string(REGEX MATCHALL "\n[a-z0-9][a-z0-9-]*" names "${table}")
    list(TRANSFORM names STRIP)
  endif()
  set(${VARIABLE} "${names}" PARENT_SCOPE)
endfunction()

# What the code is for where the caller does not say: the machine itself, or what -mcpu, -march or CMAKE_SYSTEM_PROCESSOR name.
function(_kiln_default_target NAME VARIABLE)
  if(NOT CMAKE_CROSSCOMPILING)
    set(${VARIABLE} host PARENT_SCOPE)
    return()
  endif()
  get_directory_property(options COMPILE_OPTIONS)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" configuration)
  set(flags "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${configuration}} ${options}")
  set(wishes "${CMAKE_SYSTEM_PROCESSOR}")
  string(REGEX MATCHALL "-m(cpu|arch)=[^ ;]+" said "${flags}")
  foreach(flag IN LISTS said)  # the last of several counts, for the compiler too
    string(REGEX REPLACE "^[^=]*=" "" wish "${flag}")
    list(PREPEND wishes "${wish}")
  endforeach()
  _kiln_known_targets(known)
  foreach(wish IN LISTS wishes)
    string(TOLOWER "${wish}" wish)
    string(REGEX REPLACE "[+_].*$" "" wish "${wish}")  # cortex-m4+nofp, rv32imac_zicsr
    string(REGEX REPLACE "^cortex-m(0plus|1)$" "cortex-m0" wish "${wish}")
    if(wish IN_LIST known AND NOT wish STREQUAL "host")
      set(${VARIABLE} ${wish} PARENT_SCOPE)
      return()
    endif()
  endforeach()
  list(REMOVE_ITEM known host)
  list(JOIN known ", " known)
  message(FATAL_ERROR "kiln_add_model(${NAME}): the build is for another processor than this one's (${CMAKE_SYSTEM_NAME} "
                      "${CMAKE_SYSTEM_PROCESSOR}), and neither -mcpu, -march nor CMAKE_SYSTEM_PROCESSOR says which of kiln's targets that is. "
                      "Give KILN_TARGET: ${known}.")
endfunction()

function(_kiln_check_arguments NAME MODEL ARGS STATE FREEZE UNPARSED)
  if(UNPARSED)
    message(FATAL_ERROR "kiln_add_model: does not understand '${UNPARSED}'. Options of kiln itself go after ARGS.")
  endif()
  if(NAME STREQUAL "" OR MODEL STREQUAL "")
    message(FATAL_ERROR "kiln_add_model: NAME and MODEL are needed, as in kiln_add_model(NAME kws MODEL kws.onnx).")
  endif()
  if(NOT NAME MATCHES "^[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*$")
    message(FATAL_ERROR "kiln_add_model: NAME '${NAME}' cannot begin the names of C functions; use letters, digits and single underscores.")
  endif()
  if(TARGET ${NAME})
    message(FATAL_ERROR "kiln_add_model: there is a target '${NAME}' already; choose another NAME.")
  endif()
  foreach(argument IN LISTS ARGS)
    if(argument MATCHES "^(--name|--target|--output|--depfile)(=|$)" OR argument MATCHES "^-o")
      message(FATAL_ERROR "kiln_add_model: ${argument} cannot be among ARGS; use NAME, KILN_TARGET or OUTPUT_DIR.")
    endif()
  endforeach()
  foreach(pair IN LISTS STATE)
    if(NOT pair MATCHES "^.+=.+$")
      message(FATAL_ERROR "kiln_add_model: STATE '${pair}' must be OUTPUT=INPUT, two names of the model.")
    endif()
  endforeach()
  foreach(pair IN LISTS FREEZE)
    if(NOT pair MATCHES "^.+=.+$")
      message(FATAL_ERROR "kiln_add_model: FREEZE '${pair}' must be NAME=VALUE or NAME=FILE, an input of the model and what it is.")
    endif()
  endforeach()
  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  if(NOT "CXX" IN_LIST languages)
    message(FATAL_ERROR "kiln_add_model: the project must enable C++, as in project(${PROJECT_NAME} LANGUAGES C CXX).")
  endif()
endfunction()

# kiln_add_model(NAME <name> MODEL <file.onnx> [KILN_TARGET <target>] [OUTPUT_DIR <folder>] [STATE <output>=<input>...]
#                [FREEZE <input>=<value or file>...] [ARGS <option>...])
#
# Makes the static library <name> (alias kiln::<name>) of the code that `kiln compile` emits for the model. The code is emitted at
# build time, into OUTPUT_DIR (default: <name> in the current binary folder), again when the model, its external data or kiln changed.
function(kiln_add_model)
  cmake_parse_arguments(PARSE_ARGV 0 ARG "" "NAME;MODEL;KILN_TARGET;OUTPUT_DIR" "STATE;FREEZE;ARGS")
  _kiln_check_arguments("${ARG_NAME}" "${ARG_MODEL}" "${ARG_ARGS}" "${ARG_STATE}" "${ARG_FREEZE}" "${ARG_UNPARSED_ARGUMENTS}")
  set(name ${ARG_NAME})
  cmake_path(ABSOLUTE_PATH ARG_MODEL BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}" NORMALIZE OUTPUT_VARIABLE model)
  get_source_file_property(generated "${model}" GENERATED)
  if(NOT generated AND (NOT EXISTS "${model}" OR IS_DIRECTORY "${model}"))
    message(FATAL_ERROR "kiln_add_model(${name}): there is no model file '${model}'.")
  endif()
  set(bundle "${CMAKE_CURRENT_BINARY_DIR}/${name}")
  if(ARG_OUTPUT_DIR)
    cmake_path(ABSOLUTE_PATH ARG_OUTPUT_DIR BASE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}" NORMALIZE OUTPUT_VARIABLE bundle)
  endif()
  set(vectors --vectors 0)  # those of the self-test, which is not built here
  if("${ARG_ARGS}" MATCHES "(^|;)--vectors(=|;)")
    set(vectors "")
  endif()
  set(bindings "")
  foreach(pair IN LISTS ARG_STATE)
    list(APPEND bindings --state "${pair}")
  endforeach()
  foreach(pair IN LISTS ARG_FREEZE)
    list(APPEND bindings --freeze "${pair}")
  endforeach()
  _kiln_tool(kiln kiln_depends)
  if(ARG_KILN_TARGET)
    set(target ${ARG_KILN_TARGET})
  else()
    _kiln_default_target(${name} target)
  endif()

  # manifest.json is first, since the depfile names it. Of the others kiln only touches those whose content changes.
  set(manifest "${bundle}/manifest.json")
  set(flags "${bundle}/compile_flags.txt")
  set(sources "${bundle}/${name}.cpp" "${bundle}/${name}_weights.cpp")
  set(headers "${bundle}/${name}.h" "${bundle}/${name}_memory.h" "${bundle}/${name}_weights.h")
  set(depfile "${CMAKE_CURRENT_BINARY_DIR}/CMakeFiles/${name}.kiln.d")
  cmake_path(GET model FILENAME model_name)
  add_custom_command(
    OUTPUT "${manifest}" ${sources} ${headers} "${flags}"
    COMMAND ${kiln} compile "${model}" -o "${bundle}" --name ${name} --target ${target} --depfile "${depfile}" ${vectors} ${bindings} ${ARG_ARGS}
    DEPENDS ${kiln_depends} "${model}"
    DEPFILE "${depfile}"
    WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}"  # for file names among ARGS
    COMMENT "kiln: ${model_name} -> ${name}"
    COMMAND_EXPAND_LISTS VERBATIM)

  add_library(${name} STATIC ${sources} ${headers} "${manifest}" "${flags}")
  add_library(kiln::${name} ALIAS ${name})
  target_include_directories(${name} PUBLIC "${bundle}")
  target_compile_features(${name} PRIVATE cxx_std_17)
  # The flags, the optimisation level among them, are what kiln chose for the target: unoptimised kernels are slower by an order of
  # magnitude, and a debug build is mostly about the code around them. The prefix maps keep the folders out of the objects.
  target_compile_options(${name} PRIVATE "@${flags}"
    "-ffile-prefix-map=${CMAKE_BINARY_DIR}=." "-ffile-prefix-map=${bundle}=${name}")
  # The kernel headers in nn/ are not known before kiln has run; the manifest stands for them.
  set_source_files_properties("${bundle}/${name}.cpp" PROPERTIES OBJECT_DEPENDS "${manifest};${flags}")
  set_source_files_properties("${bundle}/${name}_weights.cpp" PROPERTIES OBJECT_DEPENDS "${flags}")
endfunction()

cmake_policy(POP)
