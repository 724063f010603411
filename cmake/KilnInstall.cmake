# SPDX-License-Identifier: Apache-2.0
# What other projects see of kiln: kiln::kiln and kiln_add_model, in one of three ways: add_subdirectory(), find_package() from an
# installation, which may be moved, or find_package() from this build tree (-Dkiln_DIR=build).
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

add_executable(kiln::kiln ALIAS kiln)
include(${CMAKE_CURRENT_LIST_DIR}/KilnAddModel.cmake)

# Below share/, and for any architecture: kiln runs on this machine and serves projects for others.
set(KILN_PACKAGE_DIR ${CMAKE_INSTALL_DATADIR}/cmake/kiln)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/kilnConfigVersion.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)

set(KILN_ADD_MODEL ${PROJECT_SOURCE_DIR}/cmake/KilnAddModel.cmake)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/kilnConfig.cmake.in ${PROJECT_BINARY_DIR}/kilnConfig.cmake
  INSTALL_DESTINATION ${PROJECT_BINARY_DIR} INSTALL_PREFIX ${PROJECT_BINARY_DIR} PATH_VARS KILN_ADD_MODEL NO_SET_AND_CHECK_MACRO)
export(TARGETS kiln NAMESPACE kiln:: FILE ${PROJECT_BINARY_DIR}/kilnTargets.cmake)

if(NOT KILN_INSTALL)
  return()
endif()
set(KILN_ADD_MODEL ${KILN_PACKAGE_DIR}/KilnAddModel.cmake)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/kilnConfig.cmake.in ${PROJECT_BINARY_DIR}/install/kilnConfig.cmake
  INSTALL_DESTINATION ${KILN_PACKAGE_DIR} PATH_VARS KILN_ADD_MODEL NO_SET_AND_CHECK_MACRO)
install(TARGETS kiln EXPORT kilnTargets RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(EXPORT kilnTargets NAMESPACE kiln:: DESTINATION ${KILN_PACKAGE_DIR})
install(FILES ${PROJECT_BINARY_DIR}/install/kilnConfig.cmake ${PROJECT_BINARY_DIR}/kilnConfigVersion.cmake
  ${CMAKE_CURRENT_LIST_DIR}/KilnAddModel.cmake DESTINATION ${KILN_PACKAGE_DIR})
