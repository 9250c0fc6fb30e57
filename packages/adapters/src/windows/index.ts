export { type MaintenanceWindow, type MaintenanceWindowsOptions, maintenanceWindows } from './guards.ts'
