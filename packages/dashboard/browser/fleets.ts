const regions = ['eu-west', 'eu-central', 'us-east', 'ap-south']
const cities = ['ams', 'fra', 'nyc', 'sgp']

/** Four regions, as an operator has them. */
export const servers = Array.from({ length: 18 }, (_, index) => ({
  id: `${cities[index % 4]}-${Math.floor(index / 4) + 1}`,
  host: `10.0.0.${index + 1}`,
  region: regions[index % 4] as string,
  capacity: 40,
}))

export const connections = Object.fromEntries(
  servers.map(({ id }, index) => [id, Array.from({ length: 5 + ((index * 7) % 30) }, (_, n) => ({ id: `${id}-c${n}` }))]),
)

/** Names as nobody wants them. */
export const hostile = [
  '<img src=x onerror="document.title=\'owned\'">',
  '\u202Emoc.live\u202C ams',
  'x'.repeat(10_240),
  '👩‍🚀🏳️‍🌈 орбита שרת',
  '</title><script>document.title="owned"</script>',
  'line\nbreak\tand\u0000null',
  '\u200B\u200B',
  '$' + '{alert(1)} {{1+1}}',
].map((name, index) => ({
  id: `h${index}`,
  host: `10.1.0.${index + 1}`,
  name,
  region: index % 2 === 0 ? name : 'eu',
  capacity: 30,
}))

export const many = Array.from({ length: 2000 }, (_, index) => ({
  id: `srv-${index}`,
  host: `10.${2 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`,
  region: `region-${index % 12}`,
  capacity: 100,
}))
