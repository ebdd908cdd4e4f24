export function appIsStale(): boolean;
